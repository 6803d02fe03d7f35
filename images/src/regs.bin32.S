# regs.bin32
#   does     prints the state in which a flat32 guest is entered, and loads its data segments anew
#   stdout   one "name=hex" a line: esp=00100000 eflags=00000002 cs=0008 ds=0010 es=0010 fs=0010 gs=0010
#            ss=0010 cr0=60000011 (PE on, PG off) cr3=00000000 cr4=00000000 efer=00000000 reload=ok
#   ends     HLT: outcome halt, exit code 0; SHUTDOWN if a data segment's descriptor is bad
#   exits    140 IO (OUT to 0x3f8, one a character), 1 HLT

        .include "guest.inc"
        .include "regs.inc"

        .globl  _start
_start:
        mov     ebp, esp
        pushfd
        show    esp, ebp, 8
        show_popped eflags, 8, eax
        show_selectors
        show    cr0, cr0, 8
        show    cr3, cr3, 8
        show    cr4, cr4, 8
        show_efer
        reload_selectors
        halt

        hex_routine
