# fault/fetch-straddle.bin16, fetch-straddle.bin32, fetch-straddle.bin64, fetch-straddle-user.bin64
#   does     jumps to BAD - 1, to an instruction whose first byte is in the page before BAD and whose
#            other bytes, 2 in real mode, else 4, are BAD's; see fetch.inc
#   stdout   zeros if BAD's page is zero, fetched if it is fetch-target.bin (fetch-target-user.bin at
#            CPL 3)
#   fault    instruction fetch at BAD, RIP at BAD - 1

        .include "fault/fault.inc"
        .include "fault/fetch.inc"

        .set    MOV_EAX, 0xb8           # takes its immediate operand from BAD

        begin
        mov     byte ptr es:[bad - 1], MOV_EAX
        put_landing
        jump_to_bad -1
