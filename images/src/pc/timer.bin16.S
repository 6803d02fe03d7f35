# pc/timer.bin16
#   does     lets the PIT interrupt 1000 times a second by way of the PIC, waits for five interrupts in
#            HLT, and turns the machine off; needs --machine pc
#   stdout   tick, five times, and off, one a line
#   ends     power-off by PM1a control: exit code 0
#   exits    29 IO (OUT to 0x3f8, one a character), 1 IO (OUT to 0x604); PIT and PIC are in the kernel

        .include "pc/pc.inc"

        .set DIVISOR, 1193              # of 1.193182 MHz
        .set TICKS, 5

        .code16
        .globl  _start
_start:
        set_up_pics mask=0xfe
        handle  irq=0, routine=tick
        mov     al, 0x34                # channel 0, low and high byte, rate generator
        out     PIT_COMMAND, al
        mov     al, DIVISOR & 0xff
        out     PIT_CHANNEL0, al
        mov     al, DIVISOR >> 8
        out     PIT_CHANNEL0, al
        xor     bx, bx
wait:
        sti
        hlt
        cli
        cmp     bx, TICKS
        jb      wait
        puts    "off\n"
        power_off

tick:
        cmp     bx, TICKS
        jae     1f
        inc     bx
        puts    "tick\n"
1:
        mov     al, PIC_EOI
        out     PIC1, al
        iret
