# echo.bin64
#   does     sends every byte that COM1 receives back, until q or Ctrl-D (0x04), or until 1000 polls in
#            a row found nothing
#   stdout   the input up to, not including, the q or Ctrl-D
#   ends     HLT: outcome halt, exit code 0
#   exits    1000 IO (IN from 0x3fd) and 1 HLT without input; 3 IO a byte with it

        .include "guest.inc"

        .set EMPTY_POLLS, 1000
        .set CTRL_D, 0x04

        .globl  _start
_start:
        mov     ecx, EMPTY_POLLS
poll:
        mov     dx, COM1_LSR
        in      al, dx
        test    al, LSR_DATA_READY
        jnz     receive
        dec     ecx
        jnz     poll
done:
        halt

receive:
        mov     dx, COM1
        in      al, dx
        cmp     al, 'q'
        je      done
        cmp     al, CTRL_D
        je      done
        out     dx, al
        jmp     _start
