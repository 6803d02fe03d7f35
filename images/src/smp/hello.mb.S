# smp/hello.mb
#   does     counts the processors in the MADT, starts them with INIT and start-up IPIs; each says its
#            number and its APIC id, by the local APIC and by CPUID
#   stdout   `cpu N: apic id N, cpuid N` of each processor in any order; `N processors, N started`
#   ends     debug exit 0 (code 1); 1 (code 3) if a processor did not start within 5 s, started twice,
#            or its two ids differ; 2 (code 5) if there is no MADT
#   exits    1 IO a character (OUT to 0x3f8), 1 IO (OUT to 0xf4)

        .include "smp.inc"

        .set PATIENCE_MS, 5000

        smp_start
        call    start_others
        call    check_in
        mov     ecx, PATIENCE_MS
wait:
        mov     eax, [arrivals]
        cmp     eax, [processors]
        je      all_started
        call    wait_millisecond
        dec     ecx
        jnz     wait
        wrong
all_started:
        mov     eax, [processors]
        call    put_decimal
        puts    " processors, "
        mov     eax, [arrivals]
        call    put_decimal
        puts    " started\n"
        debug_exit_by_verdict

processor:
        call    check_in
        halt

check_in:
        mov     eax, 1
        cpuid
        shr     ebx, 24
        mov     edi, ebx                # EDI: the id by CPUID
        mov     ebx, [APIC_ID]
        shr     ebx, 24                 # EBX: the id by the local APIC
        cmp     ebx, edi
        jne     1f
        lock bts [seen], ebp
        jnc     2f
1:
        wrong
2:
        lock_line
        puts    "cpu "
        mov     eax, ebp
        call    put_decimal
        puts    ": apic id "
        mov     eax, ebx
        call    put_decimal
        puts    ", cpuid "
        mov     eax, edi
        call    put_decimal
        puts    "\n"
        unlock_line
        arrive
        ret

        smp_routines

        .bss
        .balign 4
seen:                                   # one bit a number
        .skip   MAX_PROCESSORS / 8
