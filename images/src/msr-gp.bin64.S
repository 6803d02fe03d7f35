# msr-gp.bin64
#   does     reads MSR 0x12345, which no processor has, and writes reserved bits to IA32_EFER; a
#            handler for the general-protection fault resumes behind each
#   stdout   rdmsr #GP                      (the value, 8 digits, if the read is answered)
#            wrmsr #GP                      (ok if the write is taken)
#            done
#   ends     HLT: outcome halt, exit code 0
#   exits    25 IO (OUT to 0x3f8), 1 HLT; 1 X86_RDMSR and 1 X86_WRMSR where the VMM asked for them

        .include "guest.inc"
        .include "hex.inc"

        .set IA32_EFER, 0xc0000080
        .set GP_VECTOR, 13
        .set IDT, 0x200000
        .set CODE_SELECTOR, 0x08
        .set INTERRUPT_GATE, 0x8e00     # present, for CPL 0

# Continues at \to if the next instruction faults.
.macro expect_fault to:req
        lea     rbp, [rip + \to]
.endm

        .globl  _start
_start:
        lea     rax, [rip + on_fault]
        mov     edi, IDT + GP_VECTOR * 16
        mov     [rdi], ax
        mov     word ptr [rdi + 2], CODE_SELECTOR
        mov     word ptr [rdi + 4], INTERRUPT_GATE
        shr     rax, 16
        mov     [rdi + 6], ax
        shr     rax, 16
        mov     [rdi + 8], eax
        lidt    [idtr]

        puts    "rdmsr "
        expect_fault no_read
        mov     ecx, 0x12345
        rdmsr
        hex     8
        jmp     write
no_read:
        puts    "#GP"
write:
        puts    "\nwrmsr "
        expect_fault no_write
        mov     ecx, IA32_EFER
        mov     eax, -1
        mov     edx, -1
        wrmsr
        puts    "ok"
        jmp     finish
no_write:
        puts    "#GP"
finish:
        puts    "\ndone\n"
        halt

# Not every KVM emulates IRETQ, so the frame is dropped.
on_fault:
        mov     rsp, IDT
        jmp     rbp

idtr:
        .word   (GP_VECTOR + 1) * 16 - 1
        .quad   IDT

        hex_routine
