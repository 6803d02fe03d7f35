# The few BIOS services that real-mode setup code of a Linux kernel asks for: memory sizes and map,
# and text output, which goes to the debug console. Everything else fails at once, as a call that
# the BIOS does not know: carry set. Zero is set, too, which says that no key was pressed.
#
# bios.ts has the code in hexadecimal and puts it at E000:0000, the numbers that it reads behind it.
# Once assembled for GNU as and ld:
#     as --32 -mx86-used-note=no -o bios.o bios.S
#     ld -m elf_i386 -Ttext=0 --oformat=binary -o bios.bin bios.o

        .intel_syntax noprefix
        .code16
        .text

        .set DEBUGCON, 0xe9
        .set CARRY_AND_ZERO, 0x41       # in the flags that IRET loads: they lie at SP + 4
        .set SMAP, 0x534d4150

# Where the interrupt vectors point: a service's number times 4, the order is that of bios.ts.
        jmp     unknown
        .balign 4
        jmp     video                   # INT 10h
        .balign 4
        jmp     memory_size             # INT 12h
        .balign 4
        jmp     system                  # INT 15h
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
        iret

video:
        cmp     ah, 0x0e                # write a character
        jne     1f
        out     DEBUGCON, al
        iret
1:      cmp     ah, 0x0f                # which mode? text, 80 columns, page 0
        jne     unknown
        mov     ax, 0x5003
        mov     bh, 0
        iret

memory_size:
        mov     ax, cs:[conventional_kib]
        iret

system:
        cmp     ax, 0xe820
        je      memory_map
        cmp     ax, 0xe801
        je      large_memory
        cmp     ah, 0x88
        jne     unknown
        mov     ax, cs:[extended_kib]
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

# What bios.ts writes behind the code.
        .balign 2
conventional_kib:
        .set    extended_kib, conventional_kib + 2
        .set    below_16m_kib, conventional_kib + 4
        .set    above_16m_64kib, conventional_kib + 6
        .set    map_entries, conventional_kib + 8
        .set    map, conventional_kib + 10
