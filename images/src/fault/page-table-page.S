# fault/page-table-page.bin
#   not a guest, but the content of BAD's page for the page-table guests: a page table

        .include "fault/page-table.inc"

        .globl  _start
_start:
        .set    page, TARGET
        .rept   512
        .quad   page | TABLE_FLAGS
        .set    page, page + 0x1000
        .endr
