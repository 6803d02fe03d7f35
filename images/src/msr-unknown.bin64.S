# msr-unknown.bin64
#   does     reads MSR 0x12345, which no processor has, with an empty IDT
#   stdout   nothing; "read XXXXXXXX" if the read is answered
#   ends     SHUTDOWN (the #GP cannot be delivered): outcome shutdown, exit code 22. HLT if KVM ignores
#            unknown MSRs (its module option ignore_msrs) or a VMM answers for them
#   exits    1 SHUTDOWN; X86_RDMSR before it where the VMM asked for those exits

        .include "guest.inc"
        .include "hex.inc"

        .globl  _start
_start:
        forbid_exceptions
        mov     ecx, 0x12345
        rdmsr
        mov     edi, eax
        puts    "read "
        mov     eax, edi
        hex     8
        puts    "\n"
        halt

        hex_routine
