# hello.bin16
#   does     greets from real mode: a flat binary, loaded as a boot sector is
#   stdout   Hello from flat16!
#   ends     HLT: outcome halt, exit code 0
#   exits    19 IO (OUT to 0x3f8, one a character), 1 HLT

        .include "guest.inc"

        .code16
        .globl  _start
_start:
        puts    "Hello from flat16!\n"
        halt
