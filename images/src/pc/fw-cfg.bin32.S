# pc/fw-cfg.bin32
#   does     reads fw_cfg by its ports, and by DMA the file opt/greeting; needs --machine pc and
#            --fw-cfg opt/greeting,string=TEXT
#   stdout   the signature, id=, cpus=, ram= (in MiB), the command line and the file, one a line
#   ends     HLT with interrupts off: outcome halt, exit code 0; 5 if there is no such file, 7 if DMA
#            fails

        .include "pc/pc.inc"
        .include "hex.inc"

        .set SELECTOR, 0x510
        .set DATA, 0x511
        .set DMA_LOW, 0x518             # the high half of the address stays 0
        .set SIGNATURE, 0x00
        .set ID, 0x01
        .set RAM_SIZE, 0x03
        .set NB_CPUS, 0x05
        .set CMDLINE_DATA, 0x15
        .set FILE_DIR, 0x19
        .set DMA_READ_SELECT, 2 | 8
        .set NAME_BYTES, 56

.macro select item:req
        mov     dx, SELECTOR
        mov     ax, \item
        out     dx, ax
        mov     dx, DATA
.endm

# Reads 2 or 4 bytes into EAX, lowest first. Clobbers ECX, EDI.
.macro take bytes:req
        mov     dword ptr [buffer], 0
        mov     edi, offset buffer
        mov     ecx, \bytes
        cld
        rep     insb
        mov     eax, [buffer]
.endm

        .globl  _start
_start:
        select  SIGNATURE
        take    4
        mov     byte ptr [buffer + 4], 0
        call    put_line
        select  ID
        take    4
        mov     ebp, eax
        puts    "id="
        mov     eax, ebp
        hex     8
        select  NB_CPUS
        take    2
        mov     ebp, eax
        puts    "\ncpus="
        mov     eax, ebp
        hex     4
        select  RAM_SIZE
        take    4
        mov     ebp, eax
        puts    "\nram="
        mov     eax, ebp
        shr     eax, 20
        hex     8
        puts    "\n"

        select  CMDLINE_DATA
        mov     edi, offset buffer
1:
        in      al, dx
        stosb
        test    al, al
        jnz     1b
        call    put_line

# The directory: a count, then for each file its size, its selector and its name, big-endian.
        select  FILE_DIR
        mov     edi, offset count
        mov     ecx, 4
        rep     insb
        mov     ebp, [count]
        bswap   ebp
each_file:
        dec     ebp
        js      missing
        mov     edi, offset file
        mov     ecx, 8 + NAME_BYTES
        rep     insb
        mov     esi, offset name
        mov     edi, offset file + 8
        mov     ecx, offset name_end - name
        repe    cmpsb
        jne     each_file

        movzx   eax, word ptr [file + 4]
        xchg    al, ah
        shl     eax, 16
        or      eax, DMA_READ_SELECT
        bswap   eax
        mov     [request], eax
        mov     ebx, [file]
        mov     [request + 4], ebx
        bswap   ebx
        mov     byte ptr [buffer + ebx], 0
        mov     eax, offset buffer
        bswap   eax
        mov     [request + 12], eax
        mov     eax, offset request
        bswap   eax
        mov     dx, DMA_LOW
        out     dx, eax
        cmp     dword ptr [request], 0
        jne     failed
        call    put_line
        halt
missing:
        debug_exit 2
failed:
        debug_exit 3

# Prints `buffer` up to its NUL.
put_line:
        mov     esi, offset buffer
        mov     dx, COM1
1:
        lodsb
        test    al, al
        jz      2f
        out     dx, al
        jmp     1b
2:
        mov     al, '\n'
        out     dx, al
        ret

        hex_routine

name:
        .asciz  "opt/greeting"
name_end:

        .bss
        .balign 16
request:
        .skip   16                      # control, length, address
count:
        .skip   4
file:
        .skip   8 + NAME_BYTES
buffer:
        .skip   4096
