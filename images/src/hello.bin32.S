# hello.bin32
#   does     greets from protected mode, paging off
#   stdout   Hello from flat32!
#   ends     HLT: outcome halt, exit code 0
#   exits    19 IO (OUT to 0x3f8, one a character), 1 HLT

        .include "guest.inc"

        .globl  _start
_start:
        puts    "Hello from flat32!\n"
        halt
