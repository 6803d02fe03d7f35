# storm-debugcon.bin64
#   does     writes 100,000 times x to the debug console: the cost of an exit and of its output
#   stdout   100,000 times x, no newline
#   ends     HLT: outcome halt, exit code 0
#   exits    100,000 IO (OUT to 0xe9), 1 HLT

        .include "guest.inc"

        .globl  _start
_start:
        mov     al, 'x'
        mov     ecx, 100000
1:      out     DEBUGCON, al
        dec     ecx
        jnz     1b
        halt
