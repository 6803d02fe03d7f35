# bench/exits.mb
#   does     the same exit over and over, for benchmarks, from a command line of `count=N` (default 0:
#            none), `port=P` (default 0xe9, the debug console) and `mode=`:
#            port      writes a byte to port P, N times (default)
#            rep       writes N bytes to port P with REP OUTSB
#            console   writes N bytes to COM1, and polls its line status before each
#            mmio      stores 4 bytes at GPA 0xd0000000, outside RAM and devices, N times
#            spin      loops for ever, unless N is 0
#            fetch     runs code at GPA 0xd0000000, unless N is 0
#            Loops are as short as can be, since KVM's instruction emulator may run them
#   stdout   begin, what was written, end; what is written is `x` over and over
#   ends     debug exit 0 (code 1); 2 (code 5) if the mode is unknown; `fetch` as KVM does where there is
#            no code to be fetched (code 24)
#   exits    port, mmio: N; rep: N at most; console: 2 N; and 10 IO (OUT to 0x3f8), 1 IO (OUT to 0xf4)

        .include "guest.inc"
        .include "multiboot.inc"
        .include "options.inc"

        .set NOWHERE, 0xd0000000
        .set UNFIT, 2
        .set TEXT_BYTES, 4096

        multiboot_header flags=0

        .text
        .globl  _start
_start:
        mov     esp, offset stack_top
        keep_command_line
        number_option count, missing=1f
        mov     [count], eax
1:
        number_option port, missing=1f
        mov     [port], eax
1:
        mov     edi, offset mode_name
        call    find_option
        jc      2f
        mov     al, [esi]
        mov     ebx, offset modes
1:
        cmp     al, [ebx]
        je      1f
        add     ebx, 5
        cmp     ebx, offset modes_end
        jb      1b
        debug_exit UNFIT
1:
        mov     ebx, [ebx + 1]
        mov     [mode], ebx
2:
        puts    "begin\n"
        mov     al, 'x'
        mov     ecx, [count]
        mov     dx, [port]
        jecxz   1f
        call    [mode]
1:
        puts    "end\n"
        debug_exit 0

# Each of these does what it is for ECX times. AL: what is written; DX: the port.

to_port:
        out     dx, al
        loop    to_port
        ret

to_port_by_rep:
        mov     edi, offset text        # as many bytes as one string takes at most
        mov     ebx, ecx
        mov     ecx, TEXT_BYTES
        rep stosb
        cld
1:
        mov     ecx, TEXT_BYTES
        cmp     ecx, ebx
        jb      2f
        mov     ecx, ebx
2:
        sub     ebx, ecx
        mov     esi, offset text
        rep outsb
        test    ebx, ebx
        jnz     1b
        ret

to_console:
        mov     dx, COM1_LSR
        in      al, dx
        test    al, LSR_THR_EMPTY
        jz      to_console
        mov     al, 'x'
        mov     dx, COM1
        out     dx, al
        loop    to_console
        ret

to_nowhere:
        mov     edi, NOWHERE
1:
        mov     [edi], eax
        loop    1b
        ret

spin:
        pause
        jmp     spin

run_nothing:
        mov     eax, NOWHERE
        jmp     eax

        option_routines

mode_name:
        .asciz  "mode="
modes:
        .byte   'p'
        .long   to_port
        .byte   'r'
        .long   to_port_by_rep
        .byte   'c'
        .long   to_console
        .byte   'm'
        .long   to_nowhere
        .byte   's'
        .long   spin
        .byte   'f'
        .long   run_nothing
modes_end:
        .balign 4
count:
        .long   0
port:
        .long   DEBUGCON
mode:
        .long   to_port

        .bss
text:
        .skip   TEXT_BYTES
        .balign 16
        .skip   256
stack_top:
