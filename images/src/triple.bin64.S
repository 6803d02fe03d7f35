# triple.bin64
#   does     divides by zero with an empty IDT: #DE, then #DF, neither can be delivered
#   stdout   nothing
#   ends     SHUTDOWN: outcome shutdown, exit code 22
#   exits    1 SHUTDOWN

        .include "guest.inc"

        .globl  _start
_start:
        forbid_exceptions
        xor     eax, eax
        xor     edx, edx
        xor     ecx, ecx
        div     ecx
        debug_exit 1                    # not reached
