# storm.bin64
#   does     writes 100,000 times to port 0x80, the POST code port: the cost of an exit, for benchmarks
#   stdout   nothing
#   ends     HLT: outcome halt, exit code 0
#   exits    100,000 IO (OUT to 0x80), 1 HLT

        .include "guest.inc"

        .set POST, 0x80

        .globl  _start
_start:
        mov     ecx, 100000
1:      out     POST, al
        dec     ecx
        jnz     1b
        halt
