# bench/exits-smp.mb
#   does     all processors at once write a byte to a port over and over, for benchmarks, from a command
#            line of `count=N`, how many times each (default 0), and `port=P` (default 0xe9, the debug
#            console)
#   stdout   begin, what was written, end; what is written is `x` over and over
#   ends     debug exit 0 (code 1); 2 (code 5) if there is no MADT
#   exits    N of each processor, 10 IO (OUT to 0x3f8), 1 IO (OUT to 0xf4), and those of starting the
#            others

        .include "smp.inc"

        smp_start
        number_option count, missing=1f
        mov     [count], eax
1:
        number_option port, missing=1f
        mov     [port], eax
1:
        call    start_others
        arrive
        await_arrivals 1
        puts    "begin\n"
        inc     byte ptr [begun]
        call    storm
        await_arrivals 2
        puts    "end\n"
        debug_exit OK

processor:
        arrive
1:
        pause
        cmp     byte ptr [begun], 0
        je      1b
        call    storm
        halt

storm:
        mov     al, 'x'
        mov     ecx, [count]
        mov     dx, [port]
        jecxz   2f
1:
        out     dx, al
        loop    1b
2:
        arrive
        ret

        smp_routines

        .balign 4
count:
        .long   0
port:
        .long   DEBUGCON
begun:
        .byte   0
