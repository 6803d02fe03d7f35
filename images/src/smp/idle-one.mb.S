# smp/idle-one.mb
#   does     all processors halt with interrupts off, but the second waits in HLT for five interrupts
#            of its local APIC's timer, 150 ms apart, and turns the machine off: one processor that can
#            be woken keeps the machine alive
#   stdout   `tick`, five times, one a line
#   ends     power-off by PM1a control: exit code 0; debug exit 2 (code 5) if there is no second
#            processor
#   exits    25 IO (OUT to 0x3f8, one a character), 1 IO (OUT to 0x604)

        .include "smp.inc"

        .set APIC_TIMER, 0xfee00320
        .set APIC_TIMER_COUNT, 0xfee00380
        .set APIC_TIMER_DIVIDE, 0xfee003e0
        .set TIMER_PERIODIC, 1 << 17
        .set DIVIDE_BY_1, 0xb
        .set PERIOD, 150000000          # KVM's local APIC counts nanoseconds
        .set TICKS, 5
        .set VECTOR, 0x40
        .set PM1A_CONTROL, 0x604
        .set PM1A_OFF, 0x2000           # sleep type 0, sleep now

        smp_start
        need_processors 2
        mov     ecx, VECTOR
        mov     eax, offset tick
        call    handle
        call    start_others
        arrive
        halt

processor:
        arrive
        cmp     ebp, 1
        je      1f
        halt
1:
        await_arrivals 1
        lidt    [idt_pointer]
        xor     ebx, ebx
        mov     dword ptr [APIC_TIMER_DIVIDE], DIVIDE_BY_1
        mov     dword ptr [APIC_TIMER], TIMER_PERIODIC | VECTOR
        mov     dword ptr [APIC_TIMER_COUNT], PERIOD
wait:
        sti
        hlt
        cli
        cmp     ebx, TICKS
        jb      wait
        mov     dx, PM1A_CONTROL
        mov     ax, PM1A_OFF
        out     dx, ax
        halt

tick:
        inc     ebx
        puts    "tick\n"
        mov     dword ptr [APIC_EOI], 0
        interrupt_return

        smp_routines
