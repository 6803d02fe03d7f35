# fault/page-table.bin64, page-table-user.bin64
#   does     maps an address by page tables the last of which is at BAD, loads 4 bytes from there and
#            prints them. It does not fill the table at BAD: page-table-page.bin is what belongs there
#   stdout   5a5a5a5a if BAD's page is page-table-page.bin
#   ends     if BAD's page is zero, an unhandled #PF: SHUTDOWN
#   fault    read of 8 bytes at BAD by the page walk, for a load from GVA 0x8000000008; the walk also
#            sets the entry's accessed bit

        .include "fault/fault.inc"
        .include "fault/page-table.inc"

        .set    MAPPED, 1 << 39         # entry 1 of the PML4, 0 of the other tables
        .set    POINTER_TABLE, 0x400000
        .set    DIRECTORY, 0x401000

        start
        mov     eax, 0x5a5a5a5a
        mov     [TARGET + 8], eax
        mov     rdi, cr3
        mov     qword ptr [rdi + 8], POINTER_TABLE | TABLE_FLAGS
        mov     edi, POINTER_TABLE
        mov     qword ptr [rdi], DIRECTORY | TABLE_FLAGS
        mov     edi, DIRECTORY
        mov     qword ptr [rdi], BAD | TABLE_FLAGS
        go
        mov     rbp, MAPPED
        mov     eax, [rbp + 8]
        say
        finish

        hex_routine
