# mmio.bin64
#   does     writes and then reads 1, 2, 4 and 8 bytes at GPA 0xd0000000, where a small machine has
#            neither RAM nor a device, and prints what it read
#   stdout   mmio ff ffff ffffffff ffffffffffffffff
#   ends     HLT: outcome halt, exit code 0
#   exits    8 MMIO (write 0x11, 0x2222, 0x33333333, 0x4444444444444444; then the reads),
#            39 IO (OUT to 0x3f8), 1 HLT

        .include "guest.inc"
        .include "hex.inc"

        .set NOWHERE, 0xd0000000

        .globl  _start
_start:
        mov     edi, NOWHERE
        mov     al, 0x11
        mov     [rdi], al
        mov     eax, 0x2222
        mov     [rdi], ax
        mov     eax, 0x33333333
        mov     [rdi], eax
        mov     rax, 0x4444444444444444
        mov     [rdi], rax

        puts    "mmio "
        xor     eax, eax
        mov     al, [rdi]
        hex     2
        puts    " "
        xor     eax, eax
        mov     ax, [rdi]
        hex     4
        puts    " "
        mov     eax, [rdi]
        hex     8
        puts    " "
        mov     rax, [rdi]
        hex     16
        puts    "\n"
        halt

        hex_routine rax, rbx
