# hlt.bin16
#   does     halts: the smallest guest there is
#   stdout   nothing
#   ends     HLT: outcome halt, exit code 0
#   exits    1 HLT

        .include "guest.inc"

        .code16
        .globl  _start
_start:
        halt
