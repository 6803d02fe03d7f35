# pc/rtc.bin16
#   does     lets the clock interrupt 64 times a second by way of both PICs, waits for five interrupts in
#            HLT, and turns the machine off; needs --machine pc
#   stdout   period, five times, and off, one a line
#   ends     power-off by PM1a control: exit code 0

        .include "pc/pc.inc"

        .set INDEX, 0x70
        .set DATA, 0x71
        .set STATUS_A, 0x0a
        .set STATUS_B, 0x0b
        .set STATUS_C, 0x0c
        .set RATE_64_HZ, 0x2a
        .set PERIODIC, 0x42             # interrupt each period; hours go to 24
        .set REQUEST, 0xc0              # an interrupt, for a period
        .set PERIODS, 5

.macro write register:req, value:req
        mov     al, \register
        out     INDEX, al
        mov     al, \value
        out     DATA, al
.endm

        .code16
        .globl  _start
_start:
        set_up_pic PIC1, PIC1_VECTORS, 1 << 2, 0xfb
        set_up_pic PIC2, PIC1_VECTORS + 8, 2, 0xfe
        handle  irq=8, routine=period
        write   STATUS_A, RATE_64_HZ
        write   STATUS_B, PERIODIC
        xor     bx, bx
wait:
        sti
        hlt
        cli
        cmp     bx, PERIODS
        jb      wait
        puts    "off\n"
        power_off

period:
        mov     al, STATUS_C
        out     INDEX, al
        in      al, DATA
        and     al, REQUEST
        cmp     al, REQUEST
        jne     1f
        cmp     bx, PERIODS
        jae     1f
        inc     bx
        puts    "period\n"
1:
        mov     al, PIC_EOI
        out     PIC2, al
        out     PIC1, al
        iret
