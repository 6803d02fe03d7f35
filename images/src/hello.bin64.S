# hello.bin64
#   does     greets from long mode
#   stdout   Hello from flat64!
#   ends     HLT: outcome halt, exit code 0
#   exits    19 IO (OUT to 0x3f8, one a character), 1 HLT

        .include "guest.inc"

        .globl  _start
_start:
        puts    "Hello from flat64!\n"
        halt
