# The BIOS of real-mode guests: what boot sectors and the setup code of Linux kernels call (text
# output, which goes to the debug console, memory sizes and map, the tick count), and handlers for
# the interrupts of a PC. Other calls fail at once: carry set. Zero is set, too, which says that no
# key was pressed.
#
# bios.ts has the code in hexadecimal and puts it at FE00:0000, with the numbers that it reads
# behind it. Once assembled for GNU as and ld:
#     as --32 -mx86-used-note=no -o bios.o bios.S
#     ld -m elf_i386 -Ttext=0 --oformat=binary -o bios.bin bios.o

        .intel_syntax noprefix
        .code16
        .text

        .set DEBUGCON, 0xe9
        .set CARRY_AND_ZERO, 0x41       # in the flags that IRET loads: they lie at SP + 4
        .set SMAP, 0x534d4150
        .set DATA_AREA, 0x40
        .set TICKS, 0x6c                # in the data area: ticks since midnight
        .set MIDNIGHT, 0x70             # and whether it has passed
        .set TICKS_A_DAY, 0x1800b0
        .set EQUIPMENT, 0x10
        .set END_OF_INTERRUPT, 0x20
        .set KEYBOARD, 0x60
        .set KEYBOARD_COMMAND, 0x64
        .set PULSE_RESET, 0xfe
        .set CMOS, 0x70
        .set CMOS_STATUS_C, 0x0c

# Where the interrupt vectors point: a service's number times 4, in the order of bios.ts.
        jmp     unknown
        .balign 4
        jmp     ignore
        .balign 4
        jmp     crash                   # INT 00h, 06h, 07h
        .balign 4
        jmp     tick                    # INT 08h
        .balign 4
        jmp     key                     # INT 09h
        .balign 4
        jmp     first_pic               # INT 0Ah to 0Fh
        .balign 4
        jmp     video                   # INT 10h
        .balign 4
        jmp     equipment               # INT 11h
        .balign 4
        jmp     memory_size             # INT 12h
        .balign 4
        jmp     disk                    # INT 13h
        .balign 4
        jmp     system                  # INT 15h
        .balign 4
        jmp     keyboard                # INT 16h
        .balign 4
        jmp     reset                   # INT 18h, INT 19h, the reset vector
        .balign 4
        jmp     time                    # INT 1Ah
        .balign 4
        jmp     clock                   # INT 70h
        .balign 4
        jmp     second_pic              # INT 71h to 77h
        .balign 4

unknown:
        push    bp
        mov     bp, sp
        or      byte ptr [bp + 6], CARRY_AND_ZERO
        pop     bp
        iret

known:
        push    bp
        mov     bp, sp
        and     byte ptr [bp + 6], 0xfe
        pop     bp
ignore:
        iret

# An unhandled exception: without vectors, the instruction shuts the processor down when it is tried
# again. The operand size is that of all 32 bits of the address.
crash:
        lidtd   cs:[no_vectors]
        iret

tick:
        push    ax
        push    ds
        mov     ax, DATA_AREA
        mov     ds, ax
        inc     dword ptr [TICKS]
        cmp     dword ptr [TICKS], TICKS_A_DAY
        jb      1f
        mov     dword ptr [TICKS], 0
        mov     byte ptr [MIDNIGHT], 1
1:      int     0x1c
        pop     ds
        jmp     1f

key:
        push    ax
        in      al, KEYBOARD
        jmp     1f

first_pic:
        push    ax
1:      mov     al, END_OF_INTERRUPT
        out     0x20, al
        pop     ax
        iret

clock:
        push    ax
        mov     al, CMOS_STATUS_C
        out     CMOS, al
        in      al, CMOS + 1
        jmp     1f

second_pic:
        push    ax
1:      mov     al, END_OF_INTERRUPT
        out     0xa0, al
        out     0x20, al
        pop     ax
        iret

video:
        cmp     ah, 0x0e                # write a character
        jne     1f
        out     DEBUGCON, al
        iret
1:      cmp     ah, 0x13                # write CX characters at ES:BP, in AL bit 1 with attributes
        je      write_string
        cmp     ah, 0x03                # where is the cursor? at 0, 0
        jne     1f
        xor     dx, dx
        mov     cx, 0x0607
        iret
1:      cmp     ah, 0x0f                # which mode? text, 80 columns, page 0
        jne     unknown
        mov     ax, 0x5003
        mov     bh, 0
        iret

write_string:
        push    ax
        push    cx
        push    si
        mov     si, bp
        mov     ah, al
        jcxz    2f
1:      mov     al, es:[si]
        out     DEBUGCON, al
        inc     si
        test    ah, 2
        loopz   1b
        jcxz    2f
        inc     si                      # the attribute
        jmp     1b
2:      pop     si
        pop     cx
        pop     ax
        iret

equipment:
        push    ds
        mov     ax, DATA_AREA
        mov     ds, ax
        mov     ax, [EQUIPMENT]
        pop     ds
        iret

memory_size:
        mov     ax, cs:[conventional_kib]
        iret

disk:
        mov     ah, 0x01                # there is no such drive
        jmp     unknown

# Keys are waited for: there are none.
keyboard:
        test    ah, 0xef
        jnz     unknown
        sti
1:      hlt
        jmp     1b

time:
        test    ah, ah                  # the tick count: CX:DX, and in AL whether midnight has passed
        jnz     unknown
        push    ds
        mov     ax, DATA_AREA
        mov     ds, ax
        mov     dx, [TICKS]
        mov     cx, [TICKS + 2]
        xor     ax, ax
        xchg    al, [MIDNIGHT]
        pop     ds
        jmp     known

reset:
        mov     al, PULSE_RESET
        out     KEYBOARD_COMMAND, al
1:      cli
        hlt
        jmp     1b

system:
        cmp     ax, 0xe820
        je      memory_map
        cmp     ax, 0xe801
        je      large_memory
        cmp     ah, 0x24
        je      a20
        cmp     ah, 0x88
        jne     unknown
        mov     ax, cs:[extended_kib]
        jmp     known

# The gate is open, and closing it has no effect.
a20:
        cmp     al, 3
        ja      unknown
        mov     ah, 0
        jb      1f
        mov     bx, 3                   # it is switched by the keyboard controller and port 0x92
1:      cmp     al, 2
        jne     known
        mov     al, 1                   # it is open
        jmp     known

large_memory:
        mov     ax, cs:[below_16m_kib]
        mov     cx, ax
        mov     bx, cs:[above_16m_64kib]
        mov     dx, bx
        jmp     known

# EBX is the number of the entry, ES:DI where it goes, ECX how much room there is.
memory_map:
        cmp     edx, SMAP
        jne     unknown
        cmp     ecx, 20
        jb      unknown
        cmp     bx, cs:[map_entries]
        jae     unknown
        push    si
        push    di
        push    ds
        push    cs
        pop     ds
        imul    si, bx, 20
        add     si, offset map
        mov     cx, 20
        cld
        rep     movsb
        pop     ds
        pop     di
        pop     si
        mov     ecx, 20
        mov     eax, SMAP
        inc     bx
        cmp     bx, cs:[map_entries]
        jb      known
        xor     ebx, ebx                # that was the last one
        jmp     known

no_vectors:
        .word   0                       # the limit
        .long   0xd0000000              # where no memory is

# What bios.ts writes behind the code.
        .balign 2
conventional_kib:
        .set    extended_kib, conventional_kib + 2
        .set    below_16m_kib, conventional_kib + 4
        .set    above_16m_64kib, conventional_kib + 6
        .set    map_entries, conventional_kib + 8
        .set    map, conventional_kib + 10
