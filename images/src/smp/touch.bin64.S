# smp/touch.bin64
#   does     two processors at CPL 3 add 1, with a lock, to the first word of each page of
#            [0x400000, 0x600000), both at the same page at the same time; then the boot processor
#            checks that each word is 2
#   stdout   nothing
#   ends     debug exit 0 (code 1); 1 (code 3) if an addition is missing
#   exits    what the pages cost

        .include "guest.inc"
        .include "fault/user.inc"

        .set    PAGES, 0x400000
        .set    COUNT, 512
        .set    PAGE_BYTES, 0x1000
        .set    TRAMPOLINE, 0x8000
        .set    STACK_BYTES, 0x1000
        .set    APIC, 0xfee00000
        .set    SPURIOUS, 0xf0
        .set    COMMAND, 0x300
        .set    APIC_ON, 0x100
        .set    INIT_OTHERS, 0x000c4500         # to all but this one
        .set    STARTUP_OTHERS, 0x000c4600 | TRAMPOLINE >> 12
        .set    IA32_EFER, 0xc0000080
        .set    EFER_LME, 1 << 8
        .set    CR4_PAE, 1 << 5
        .set    CR0_PE_PG, 0x80000001

        .text
        .globl  _start
_start:
        mov     rax, cr3
        mov     [tables], eax
        mov     esi, offset trampoline
        mov     edi, TRAMPOLINE
        mov     ecx, offset trampoline_end - trampoline
        rep     movsb
        mov     ebx, APIC
        or      dword ptr [rbx + SPURIOUS], APIC_ON
        mov     dword ptr [rbx + COMMAND], INIT_OTHERS
        call    wait
        mov     dword ptr [rbx + COMMAND], STARTUP_OTHERS
        call    wait
        mov     dword ptr [rbx + COMMAND], STARTUP_OTHERS
        xor     r12d, r12d
        jmp     both

wait:
        mov     ecx, 3000
1:      pause
        dec     ecx
        jnz     1b
        ret

# The other processor comes here in long mode, at CPL 0.
other:
        mov     esp, offset other_stack
        mov     r12d, 1
both:
        enter_user
        mov     ebx, PAGES
        mov     r14d, COUNT
        xor     r13d, r13d
next:
        call    meet
        lock inc dword ptr [rbx]
        add     rbx, PAGE_BYTES
        dec     r14d
        jnz     next
        call    meet
        test    r12d, r12d
        jnz     .                               # the boot processor has the last word
        mov     ebx, PAGES
        mov     r14d, COUNT
1:      cmp     dword ptr [rbx], 2
        jne     missing
        add     rbx, PAGE_BYTES
        dec     r14d
        jnz     1b
        mov     al, 0
        out     DEBUG_EXIT, al
        jmp     .
missing:
        mov     al, 1
        out     DEBUG_EXIT, al
        jmp     .

# Waits until both are here. R13 counts the arrivals that there are then.
meet:
        lock inc qword ptr [arrivals]
        add     r13, 2
1:      pause
        cmp     [arrivals], r13
        jb      1b
        ret

        .balign 8
arrivals:
        .quad   0

# From real mode to long mode, with the page tables of the boot processor.
trampoline:
        .code16
        cli
        xor     ax, ax
        mov     ds, ax
        lgdtd   [TRAMPOLINE + gdtr - trampoline]
        mov     eax, CR4_PAE
        mov     cr4, eax
        mov     eax, [TRAMPOLINE + tables - trampoline]
        mov     cr3, eax
        mov     ecx, IA32_EFER
        mov     eax, EFER_LME
        xor     edx, edx
        wrmsr
        mov     eax, CR0_PE_PG
        mov     cr0, eax
        .byte   0x66, 0xea                      # a far jump with a 32-bit offset
        .long   other
        .word   8
        .balign 8
gdt:
        .quad   0
        .quad   0x00af9b000000ffff              # 64-bit code
gdtr:
        .word   gdtr - gdt - 1
        .long   TRAMPOLINE + gdt - trampoline
        .balign 4
tables:
        .long   0
trampoline_end:
        .code64

        .bss
        .balign 16
        .skip   STACK_BYTES
other_stack:
