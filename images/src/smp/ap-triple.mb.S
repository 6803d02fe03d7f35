# smp/ap-triple.mb
#   does     the second processor divides by zero with an empty IDT, while the boot processor spins and
#            the others halt
#   stdout   nothing
#   ends     SHUTDOWN of the second processor: exit code 22; debug exit 2 (code 5) if there is none
#   exits    1 SHUTDOWN

        .include "smp.inc"

        smp_start
        need_processors 2
        call    start_others
        arrive
1:
        pause
        jmp     1b

processor:
        arrive
        cmp     ebp, 1
        jne     1f
        await_arrivals 1
        forbid_exceptions
        xor     eax, eax
        xor     edx, edx
        xor     ecx, ecx
        div     ecx
        debug_exit WRONG                # not reached
1:
        halt

        smp_routines
