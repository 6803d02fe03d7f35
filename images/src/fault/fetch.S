# fault/fetch.bin16, fetch.bin32, fetch.bin64, fetch-user.bin64
#   does     jumps to BAD, see fetch.inc
#   stdout   zeros if BAD's page is zero, fetched if it is fetch-target.bin (fetch-target-user.bin at
#            CPL 3)
#   fault    instruction fetch at BAD, RIP at BAD

        .include "fault/fault.inc"
        .include "fault/fetch.inc"

        begin
        put_landing
        jump_to_bad
