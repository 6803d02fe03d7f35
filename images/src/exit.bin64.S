# exit.bin64
#   does     writes 0x21 to the debug-exit port
#   stdout   nothing
#   ends     debug exit: exit code (0x21 << 1) | 1 = 67
#   exits    1 IO (OUT to 0xf4)

        .include "guest.inc"

        .globl  _start
_start:
        debug_exit 0x21
