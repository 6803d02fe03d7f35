# pc/serial-irq.bin16
#   does     lets COM1 interrupt when input is there and sends the input back until q, waiting in HLT;
#            needs --machine pc
#   stdout   ready on a line, then the input without the q
#   ends     HLT with interrupts off: outcome halt, exit code 0

        .include "pc/pc.inc"

        .set COM1_IER, COM1 + 1
        .set COM1_FCR, COM1 + 2
        .set COM1_MCR, COM1 + 4

        .code16
        .globl  _start
_start:
        set_up_pics mask=0xef
        handle  irq=4, routine=received
        mov     dx, COM1_FCR
        mov     al, 0x87                # FIFOs on and empty, interrupt at 8 bytes
        out     dx, al
        mov     dx, COM1_MCR
        mov     al, 0x0b                # DTR, RTS, OUT2: let the interrupt out
        out     dx, al
        mov     dx, COM1_IER
        mov     al, 1                   # input
        out     dx, al
        puts    "ready\n"
        xor     bl, bl
wait:
        sti
        hlt
        cli
        cmp     bl, 'q'
        jne     wait
        halt

received:
        mov     dx, COM1_LSR
        in      al, dx
        test    al, LSR_DATA_READY
        jz      1f
        mov     dx, COM1
        in      al, dx
        mov     bl, al
        cmp     al, 'q'
        je      1f
        out     dx, al
        jmp     received
1:
        mov     al, PIC_EOI
        out     PIC1, al
        iret
