# fault/fetch-target.bin, fetch-target-user.bin
#   not a guest, but the content of BAD's page for the fetch and fetch-straddle guests, in every mode
#   at CPL 0 or at CPL 3. Says "fetched" and ends well. The first bytes are an operand to some

        .include "fault/fault.inc"
        .include "fault/fetch.inc"

        .globl  _start
_start:
        .fill   4, 1, 0x90              # nop
        print   fetched
        finish
