# pc/mp-table.bin32
#   does     finds the MP table, checks its sums and counts its entries by type; needs --machine pc
#   stdout   processors=, buses=, io-apics=, interrupts= and local=, each a number of two digits, one a
#            line
#   ends     HLT with interrupts off: outcome halt, exit code 0; 5 if there is no table, 7 if a sum is
#            wrong

        .include "pc/pc.inc"
        .include "hex.inc"

        .set POINTER_TABLE, 4
        .set POINTER_BYTES, 16
        .set TABLE_LENGTH, 4
        .set TABLE_ENTRIES, 34
        .set TABLE_BODY, 44
        .set PROCESSOR_BYTES, 20        # all other entries have 8

.macro show_count name:req, type:req
        puts    "\name="
        mov     eax, [counts + 4 * \type]
        hex     2
        puts    "\n"
.endm

        .globl  _start
_start:
        mov     esi, 0xf0000
find_pointer:
        cmp     dword ptr [esi], 0x5f504d5f     # "_MP_"
        je      pointer
        add     esi, 16
        cmp     esi, 0x100000
        jb      find_pointer
missing:
        debug_exit 2
pointer:
        mov     ecx, POINTER_BYTES
        call    check_sum
        mov     esi, [esi + POINTER_TABLE]
        cmp     dword ptr [esi], 0x504d4350     # "PCMP"
        jne     missing
        movzx   ecx, word ptr [esi + TABLE_LENGTH]
        call    check_sum
        movzx   ecx, word ptr [esi + TABLE_ENTRIES]
        add     esi, TABLE_BODY
each_entry:
        movzx   eax, byte ptr [esi]
        inc     dword ptr [counts + 4 * eax]
        add     esi, 8
        test    al, al
        jnz     1f
        add     esi, PROCESSOR_BYTES - 8
1:
        dec     ecx
        jnz     each_entry
        show_count processors, 0
        show_count buses, 1
        show_count io-apics, 2
        show_count interrupts, 3
        show_count local, 4
        halt

# ESI, ECX: bytes whose sum must be 0.
check_sum:
        xor     eax, eax
        mov     edx, esi
1:
        add     al, [edx]
        inc     edx
        dec     ecx
        jnz     1b
        test    al, al
        jz      2f
        debug_exit 3
2:
        ret

        hex_routine

        .bss
        .balign 4
counts:
        .skip   4 * 256
