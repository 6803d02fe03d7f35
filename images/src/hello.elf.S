# hello.elf
#   does     greets from long mode; an ELF64 executable
#   stdout   Hello, KVM!
#   ends     HLT: outcome halt, exit code 0
#   exits    12 IO (OUT to 0x3f8, one a character), 1 HLT

        .include "guest.inc"

        .globl  _start
_start:
        puts    "Hello, KVM!\n"
        halt
