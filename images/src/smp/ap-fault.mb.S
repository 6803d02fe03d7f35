# smp/ap-fault.mb
#   does     the second processor reads 4 bytes at the GPA that the command line gives as `gpa=0x...`;
#            the boot processor spins and the others halt
#   stdout   nothing if the page is bad, else `read ........`, in hexadecimal
#   ends     the memory fault of that read: exit code 20; debug exit 0 (code 1) if the page is good;
#            2 (code 5) if there is no second processor or no address
#   exits    up to the fault none

        .include "smp.inc"
        .include "hex.inc"

        smp_start
        need_processors 2
        number_option gpa, missing=unfit
        mov     [gpa], eax
        call    start_others
        arrive
1:
        pause
        jmp     1b
unfit:
        debug_exit UNFIT

processor:
        arrive
        cmp     ebp, 1
        jne     1f
        await_arrivals 1
        mov     esi, [gpa]
        mov     edi, [esi]
        puts    "read "
        mov     eax, edi
        hex     8
        puts    "\n"
        debug_exit OK
1:
        halt

        smp_routines
        hex_routine

        .bss
        .balign 4
gpa:
        .skip   4
