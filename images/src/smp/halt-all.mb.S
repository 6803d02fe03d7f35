# smp/halt-all.mb
#   does     starts all processors; all of them halt with interrupts off, so that nothing can happen
#            any more
#   stdout   `N processors halt`
#   ends     HLT that nothing can end: exit code 0; debug exit 2 (code 5) if there is no MADT
#   exits    1 IO a character (OUT to 0x3f8)

        .include "smp.inc"

        smp_start
        call    start_others
        arrive
        await_arrivals 1
        mov     eax, [processors]
        call    put_decimal
        puts    " processors halt\n"
        halt

processor:
        arrive
        halt

        smp_routines
