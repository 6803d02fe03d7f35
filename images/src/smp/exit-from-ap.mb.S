# smp/exit-from-ap.mb
#   does     the second processor ends the run while the boot processor spins and the others halt
#   stdout   nothing
#   ends     debug exit 21 (code 43); 2 (code 5) if there is no second processor
#   exits    1 IO (OUT to 0xf4)

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
        debug_exit 21
1:
        halt

        smp_routines
