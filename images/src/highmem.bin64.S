# highmem.bin64
#   does     writes a pattern at 4 GiB and in the last 8 bytes below 5 GiB, reads both back, and looks
#            that they did not land 4 GiB lower. Run it with -m 5G or more: wherever a VMM puts the
#            hole below 4 GiB, that much RAM reaches from 4 to 5 GiB
#   stdout   highmem ok
#   ends     HLT: outcome halt, exit code 0; debug exit 1 (code 3) if a pattern was lost, 2 (code 5) if
#            it landed below 4 GiB; with less RAM, whatever an access to no RAM or no mapping leads to
#   exits    11 IO (OUT to 0x3f8), 1 HLT

        .include "guest.inc"

        .set BELOW_5G, 0x40000000 - 8

        .globl  _start
_start:
        mov     rdi, 0x100000000
        mov     rax, 0x0123456789abcdef
        mov     rbx, 0xfedcba9876543210
        mov     [rdi], rax
        mov     [rdi + BELOW_5G], rbx
        cmp     [rdi], rax
        jne     lost
        cmp     [rdi + BELOW_5G], rbx
        jne     lost
        xor     edi, edi
        cmp     [rdi], rax
        je      wrapped
        cmp     [rdi + BELOW_5G], rbx
        je      wrapped
        puts    "highmem ok\n"
        halt

lost:
        debug_exit 1
wrapped:
        debug_exit 2
