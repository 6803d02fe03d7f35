# hello.elf
#   does     greets from protected mode, paging off; an ELF32 executable
#   stdout   Hello from ELF32!
#   ends     HLT: outcome halt, exit code 0
#   exits    18 IO (OUT to 0x3f8, one a character), 1 HLT

        .include "guest.inc"

        .globl  _start
_start:
        puts    "Hello from ELF32!\n"
        halt
