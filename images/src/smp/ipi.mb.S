# smp/ipi.mb
#   does     each processor interrupts each other one in turn, `count=N` times (default 10) by the
#            command line, and continues when the interrupt was taken; processors that are done wait
#            for the interrupts of the others in HLT
#   stdout   `ipi: N sent, N received`, with N the same: processors * (processors - 1) * count
#   ends     debug exit 0 (code 1); 1 (code 3) if the two differ; 2 (code 5) if there is no MADT or
#            there are more than 64 processors
#   exits    1 IO a character (OUT to 0x3f8), 1 IO (OUT to 0xf4)

        .include "smp.inc"

        .set SENDERS, 64
        .set VECTORS, 0x40              # a vector for each sender, so that none is lost in another
        .set RECEIVER_BYTES, 16
        .set PIC1_MASK, 0x21
        .set PIC2_MASK, 0xa1

        smp_start
        cmp     dword ptr [processors], SENDERS
        jbe     1f
        debug_exit UNFIT
1:
        number_option count, missing=1f
        mov     [count], eax
1:
        mov     ecx, VECTORS
        mov     edx, offset receivers
1:
        mov     eax, edx
        call    handle
        add     edx, RECEIVER_BYTES
        inc     ecx
        cmp     ecx, VECTORS + SENDERS
        jb      1b

        mov     al, 0xff                # firmware may have left the PICs and a timer on
        out     PIC1_MASK, al
        out     PIC2_MASK, al
        call    start_others
        call    interrupt_others
        await_arrivals 2

        xor     ebx, ebx
        xor     edi, edi
        xor     ecx, ecx
1:
        add     ebx, [sent + 4 * ecx]
        add     edi, [received + 4 * ecx]
        inc     ecx
        cmp     ecx, [processors]
        jb      1b
        puts    "ipi: "
        mov     eax, ebx
        call    put_decimal
        puts    " sent, "
        mov     eax, edi
        call    put_decimal
        puts    " received\n"
        cmp     ebx, edi
        je      1f
        wrong
1:
        debug_exit_by_verdict

processor:
        call    interrupt_others
1:
        hlt
        jmp     1b

# EBP: the sender; EDX: the receiver; EBX: how many more to each; ESI: the command.
interrupt_others:
        lidt    [idt_pointer]
        arrive
        await_arrivals 1                # until all can take interrupts, or wait for them
        sti
        mov     ebx, [count]
        lea     esi, [ebp + VECTORS + COMMAND_FIXED]
each_round:
        sub     ebx, 1
        jc      all_sent
        mov     edx, ebp
each_receiver:
        inc     edx
        cmp     edx, [processors]
        jb      1f
        xor     edx, edx
1:
        cmp     edx, ebp
        je      each_round
        inc     dword ptr [sent + 4 * ebp]
        mov     eax, edx
        send_to_processor esi
        mov     eax, [sent + 4 * ebp]
1:
        pause
        cmp     [received + 4 * ebp], eax
        jne     1b
        jmp     each_receiver
all_sent:
        arrive
        ret

# What the vectors enter, one a sender.
        .balign RECEIVER_BYTES
receivers:
        .set    sender, 0
        .rept   SENDERS
        lock inc dword ptr [received + 4 * sender]
        jmp     taken
        .balign RECEIVER_BYTES
        .set    sender, sender + 1
        .endr
taken:
        mov     dword ptr [APIC_EOI], 0
        interrupt_return

        smp_routines

count:
        .long   10

        .bss
        .balign 4
sent:                                   # by sender
        .skip   4 * SENDERS
received:                               # by sender, too
        .skip   4 * SENDERS
