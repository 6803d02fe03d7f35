# spin.bin64
#   does     jumps to itself for ever, without an exit
#   stdout   nothing
#   ends     only from outside: a timeout (exit code 124) or an interrupt (130)
#   exits    none but what the host causes

        .include "guest.inc"

        .globl  _start
_start:
        jmp     _start
