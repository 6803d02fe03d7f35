# regs.bin64
#   does     prints the state in which a flat64 guest is entered, and loads its data segments anew
#   stdout   one "name=hex" a line: rsp=0000000000100000 rflags=0000000000000002 cs=0008 ds=0010 es=0010
#            fs=0010 gs=0010 ss=0010 cr0=00000000e0000011 (PE, PG on) cr3 (where the VMM put the
#            PML4) cr4=0000000000000020 (PAE) efer=00000500 (LME, LMA) reload=ok
#   ends     HLT: outcome halt, exit code 0; SHUTDOWN if a data segment's descriptor is bad
#   exits    180 IO (OUT to 0x3f8, one a character), 1 HLT

        .include "guest.inc"
        .include "regs.inc"

        .globl  _start
_start:
        mov     rbp, rsp
        pushfq
        show    rsp, rbp, 16, rax
        show_popped rflags, 16, rax
        show_selectors
        show    cr0, cr0, 16, rax
        show    cr3, cr3, 16, rax
        show    cr4, cr4, 16, rax
        show_efer
        reload_selectors
        halt

        hex_routine rax, rbx
