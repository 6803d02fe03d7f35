# pc/io-apic.bin32
#   does     takes the PIT's interrupt by way of the I/O APIC's input 2, with both PICs off; wants
#            --machine pc
#   stdout   ticked by input 2
#   ends     power-off by PM1a control: exit code 0

        .include "pc/pc.inc"

        .set IO_APIC, 0xfec00000        # the register's number; its value is at 0x10
        .set IO_APIC_VALUE, IO_APIC + 0x10
        .set REDIRECTION2, 0x10 + 2 * 2
        .set LOCAL_APIC_SPURIOUS, 0xfee000f0
        .set LOCAL_APIC_ON, 0x1ff
        .set VECTOR, 0x40
        .set CODE_SELECTOR, 0x08
        .set INTERRUPT_GATE, 0x8e00

        .globl  _start
_start:
        set_up_pics mask=0xff
        mov     eax, offset tick
        mov     [idt + 8 * VECTOR], ax
        mov     word ptr [idt + 8 * VECTOR + 2], CODE_SELECTOR
        mov     word ptr [idt + 8 * VECTOR + 4], INTERRUPT_GATE
        shr     eax, 16
        mov     [idt + 8 * VECTOR + 6], ax
        lidt    [idt_pointer]

        mov     dword ptr [LOCAL_APIC_SPURIOUS], LOCAL_APIC_ON
        mov     dword ptr [IO_APIC], REDIRECTION2 + 1
        mov     dword ptr [IO_APIC_VALUE], 0            # to local APIC 0
        mov     dword ptr [IO_APIC], REDIRECTION2
        mov     dword ptr [IO_APIC_VALUE], VECTOR       # edge-triggered, active high, on

        mov     al, 0x34                # channel 0, low and high byte, rate generator
        out     PIT_COMMAND, al
        xor     al, al                  # 65536: 18 times a second
        out     PIT_CHANNEL0, al
        out     PIT_CHANNEL0, al
        sti
1:
        hlt
        jmp     1b

tick:
        puts    "ticked by input 2\n"
        power_off

        .balign 4
        .word   0
idt_pointer:
        .word   8 * (VECTOR + 1) - 1
        .long   idt

        .bss
        .balign 8
idt:
        .skip   8 * (VECTOR + 1)
