# smp/storm.mb
#   does     all processors at once write bytes without any lock, from a command line of `bytes=N`,
#            how many each (default 1000), and `mode=`:
#            serial    to COM1, one OUT a byte (default)
#            debugcon  to the debug consoles, 0xe9 for even processors and 0x402 for odd ones, with
#                      REP OUTS of 16 bytes
#            mixed     to COM1, 16 bytes one by one and 16 with REP OUTS in turn; before each 16,
#                      accesses of 1, 2 and 4 bytes to the POST port, CMOS, PCI and the PM timer, whose
#                      answers must be those that the boot processor got alone
#   stdout   bytes N << 6 | COUNTER & 63 of each processor, of which there may be 4: those of one
#            processor count upwards without a gap, and are as many as the command line says
#   ends     debug exit 0 (code 1); 1 (code 3) if an answer was another; 2 (code 5) if there is no
#            MADT, there are more than 4 processors, or the mode is unknown
#   exits    serial and debugcon: 1 IO a byte at most, 1 IO (OUT to 0xf4); mixed: 8 IO a block of 16
#            more, and 8 before the others start

        .include "smp.inc"

        .set DEBUGCON2, 0x402
        .set POST, 0x80
        .set CMOS_INDEX, 0x70
        .set CMOS_DATA, 0x71
        .set CMOS_EQUIPMENT, 0x14
        .set PCI_ADDRESS, 0xcf8
        .set PCI_DATA, 0xcfc
        .set PCI_HOST_BRIDGE, 0x80000000
        .set PM_TIMER, 0x608
        .set BLOCK, 16

        smp_start
        cmp     dword ptr [processors], 4
        ja      unfit

        number_option bytes, missing=1f
        mov     [bytes], eax
1:
        mov     edi, offset mode_name
        call    find_option
        jc      2f
        mov     ebx, offset serial
        cmp     byte ptr [esi], 's'
        je      1f
        mov     ebx, offset debugcon
        cmp     byte ptr [esi], 'd'
        je      1f
        mov     ebx, offset mixed
        cmp     byte ptr [esi], 'm'
        jne     unfit
1:
        mov     [mode], ebx
2:
        cmp     dword ptr [mode], offset mixed
        jne     1f
        call    read_ports
        mov     [cmos], cl
        mov     [bridge], edi
1:
        call    start_others
        call    storm
        await_arrivals 2
        debug_exit_by_verdict
unfit:
        debug_exit UNFIT

processor:
        call    storm
        halt

# EBP: the processor's number, and then what its bytes begin with; EBX: its counter.
storm:
        arrive
        await_arrivals 1
        shl     ebp, 6
        xor     ebx, ebx
        call    [mode]
        arrive
        ret

serial:
        mov     dx, COM1
1:
        cmp     ebx, [bytes]
        jae     2f
        call    next_byte
        out     dx, al
        jmp     1b
2:
        ret

debugcon:
        mov     dx, DEBUGCON
        test    ebp, 1 << 6
        jz      1f
        mov     dx, DEBUGCON2
1:
        cmp     ebx, [bytes]
        jae     2f
        call    put_block
        jmp     1b
2:
        ret

mixed:
        cmp     ebx, [bytes]
        jae     4f
        call    read_ports
        cmp     cl, [cmos]
        jne     1f
        cmp     edi, [bridge]
        je      2f
1:
        wrong
2:
        mov     dx, COM1
        test    ebx, BLOCK
        jz      3f
        call    put_block
        jmp     mixed
3:
        call    next_byte
        out     dx, al
        cmp     ebx, [bytes]
        jae     4f
        test    ebx, BLOCK - 1
        jnz     3b
        jmp     mixed
4:
        ret

# AL: this processor's next byte.
next_byte:
        mov     eax, ebx
        and     eax, 63
        or      eax, ebp
        inc     ebx
        ret

# Writes the next bytes, 16 or the rest, to port DX as one string. There is one at least. Clobbers
# EAX, ECX, ESI, EDI.
put_block:
        sub     esp, BLOCK
        mov     edi, esp
1:
        call    next_byte
        stosb
        cmp     ebx, [bytes]
        jae     2f
        lea     eax, [esp + BLOCK]
        cmp     edi, eax
        jb      1b
2:
        mov     ecx, edi
        sub     ecx, esp
        mov     esi, esp
        rep outsb
        add     esp, BLOCK
        ret

# Reads of several sizes. All processors write the same to the two index registers, so what is behind
# them does not change in between. CL: a byte of the CMOS; EDI: the PCI host bridge's ids. Clobbers EAX,
# DX.
read_ports:
        in      al, POST
        mov     al, CMOS_EQUIPMENT
        out     CMOS_INDEX, al
        in      al, CMOS_DATA
        mov     cl, al
        mov     dx, PCI_ADDRESS
        mov     eax, PCI_HOST_BRIDGE
        out     dx, eax
        in      eax, dx
        cmp     eax, PCI_HOST_BRIDGE
        jne     1f
        mov     dx, PCI_DATA
        in      eax, dx
        mov     edi, eax
        in      ax, dx
        cmp     ax, di
        jne     1f
        mov     dx, PM_TIMER
        in      eax, dx
        cmp     eax, -1                 # what a port without a device reads as
        jne     2f
1:
        wrong
2:
        ret

        smp_routines

mode_name:
        .asciz  "mode="
        .balign 4
bytes:
        .long   1000
mode:
        .long   serial

        .bss
        .balign 4
bridge:
        .skip   4
cmos:
        .skip   1
