# pc/acpi.bin32
#   does     finds the ACPI tables from the RSDP on, checks their sums, counts processors in the MADT,
#            and turns the machine off by what FADT and DSDT say; needs --machine pc
#   stdout   FACP, APIC and DSDT, one a line; cpus= and a number of 8 digits
#   ends     power-off by PM1a control: exit code 0; 5 if a table is missing, 7 if a sum is wrong

        .include "pc/pc.inc"
        .include "hex.inc"

        .set RSDP_XSDT, 24
        .set RSDP_LENGTH, 20
        .set TABLE_LENGTH, 4
        .set TABLE_BODY, 36
        .set FADT_DSDT, 40
        .set FADT_PM1A_CONTROL, 64
        .set MADT_ENTRIES, 44
        .set MADT_LOCAL_APIC, 0

# ESI: a table. Prints its signature and checks its sum. Clobbers EAX, ECX, EDX, EDI.
.macro show_table
        mov     ecx, [esi + TABLE_LENGTH]
        call    check_sum
        call    put_signature
.endm

        .globl  _start
_start:
        mov     esi, 0xe0000
find_rsdp:
        cmp     dword ptr [esi], 0x20445352     # "RSD "
        jne     1f
        cmp     dword ptr [esi + 4], 0x20525450 # "PTR "
        je      rsdp
1:
        add     esi, 16
        cmp     esi, 0x100000
        jb      find_rsdp
missing:
        debug_exit 2
rsdp:
        mov     ecx, [esi + RSDP_LENGTH]
        call    check_sum

        mov     ebp, [esi + RSDP_XSDT]
        mov     esi, ebp
        mov     ecx, [esi + TABLE_LENGTH]
        call    check_sum
        mov     eax, [ebp + TABLE_LENGTH]
        add     eax, ebp
        mov     [xsdt_end], eax
        add     ebp, TABLE_BODY
each_table:
        cmp     ebp, [xsdt_end]
        jae     all_tables
        mov     esi, [ebp]
        add     ebp, 8
        show_table
        cmp     dword ptr [esi], 0x50434146     # "FACP"
        jne     1f
        mov     [fadt], esi
1:
        cmp     dword ptr [esi], 0x43495041     # "APIC"
        jne     each_table
        mov     [madt], esi
        jmp     each_table
all_tables:
        mov     eax, [fadt]
        test    eax, eax
        jz      missing
        mov     esi, [eax + FADT_DSDT]
        show_table

        mov     esi, [madt]
        test    esi, esi
        jz      missing
        mov     edi, [esi + TABLE_LENGTH]
        add     edi, esi
        add     esi, MADT_ENTRIES
        xor     ebp, ebp
each_entry:
        cmp     esi, edi
        jae     all_entries
        cmp     byte ptr [esi], MADT_LOCAL_APIC
        jne     1f
        inc     ebp
1:
        movzx   eax, byte ptr [esi + 1]
        add     esi, eax
        jmp     each_entry
all_entries:
        puts    "cpus="
        mov     eax, ebp
        hex     8
        puts    "\n"

# The sleep type is the first element of the package _S5_: a constant 0 or 1, or one with a prefix.
        mov     eax, [fadt]
        mov     esi, [eax + FADT_DSDT]
        mov     edi, [esi + TABLE_LENGTH]
        add     edi, esi
find_s5:
        cmp     dword ptr [esi], 0x5f35535f     # "_S5_"
        je      s5
        inc     esi
        cmp     esi, edi
        jb      find_s5
        jmp     missing
s5:
        movzx   ecx, byte ptr [esi + 7]         # behind the package's opcode, length and count
        cmp     cl, 0x0a
        jne     1f
        movzx   ecx, byte ptr [esi + 8]
1:
        shl     ecx, 10
        or      ecx, 1 << 13
        mov     edx, [eax + FADT_PM1A_CONTROL]
        mov     eax, ecx
        out     dx, ax
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

# ESI: four characters to print on a line.
put_signature:
        mov     dx, COM1
        mov     edi, 0
1:
        mov     al, [esi + edi]
        out     dx, al
        inc     edi
        cmp     edi, 4
        jb      1b
        mov     al, '\n'
        out     dx, al
        ret

        hex_routine

        .bss
        .balign 4
xsdt_end:
        .long   0
fadt:
        .long   0
madt:
        .long   0
