# serial-poll.bin64
#   does     what a kernel's early console does: looks for the UART, sets it up, and polls the line
#            status register before each character
#   stdout   polled serial ok
#   ends     HLT: outcome halt, exit code 0; debug exit 1 (code 3) if the scratch register does not
#            keep what was written, 2 (code 5) if the divisor latch does not
#   exits    50 IO, 1 HLT: 16 to set up, 2 a character (IN 0x3fd, OUT 0x3f8)

        .include "guest.inc"

        .set IER, COM1 + 1              # interrupt enable; divisor latch high when DLAB is set
        .set FCR, COM1 + 2              # FIFO control
        .set LCR, COM1 + 3              # line control
        .set MCR, COM1 + 4              # modem control
        .set SCRATCH, COM1 + 7
        .set LCR_8N1, 0x03
        .set LCR_DLAB, 0x80             # divisor latch access
        .set DIVISOR, 1                 # 115200 baud

.macro outb port, value
        mov     dx, \port
        mov     al, \value
        out     dx, al
.endm

.macro expect port, value
        mov     dx, \port
        in      al, dx
        cmp     al, \value
.endm

        .globl  _start
_start:
        outb    SCRATCH, 0x5a
        expect  SCRATCH, 0x5a
        jne     no_uart
        outb    SCRATCH, 0xa5
        expect  SCRATCH, 0xa5
        jne     no_uart

        outb    IER, 0                  # polled: no interrupts
        outb    LCR, LCR_DLAB
        outb    COM1, DIVISOR
        outb    IER, DIVISOR >> 8
        expect  COM1, DIVISOR
        jne     bad_latch
        expect  IER, DIVISOR >> 8
        jne     bad_latch
        outb    LCR, LCR_8N1
        expect  LCR, LCR_8N1
        jne     bad_latch
        outb    FCR, 0xc7               # enable and clear both FIFOs, trigger at 14 bytes
        outb    MCR, 0x0b               # DTR, RTS, OUT2
        mov     dx, COM1_LSR            # drop stale status and data
        in      al, dx
        mov     dx, COM1
        in      al, dx

        mov     esi, offset message
next:
        lodsb
        test    al, al
        jz      done
        mov     bl, al
        mov     dx, COM1_LSR
wait:
        in      al, dx
        test    al, LSR_THR_EMPTY
        jz      wait
        mov     al, bl
        mov     dx, COM1
        out     dx, al
        jmp     next
done:
        halt

no_uart:
        debug_exit 1
bad_latch:
        debug_exit 2

message:
        .asciz  "polled serial ok\n"
