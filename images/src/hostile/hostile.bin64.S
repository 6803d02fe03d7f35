# hostile/hostile.bin64
#   does     whatever a guest can do to a VMM: `steps` actions, drawn by random numbers from those whose
#            bits are set in `which`. Ports and strings of them, GPAs in all 52 bits, fw_cfg DMA to and
#            from anywhere, serial ports, clock, PCI, ACPI, absurd virtual addresses, descriptor tables
#            that point nowhere. Exceptions are caught, and the next action follows
#   patched  `seed`, `steps` and `which`, 8 bytes each at 8, 16 and 24 in the file. As built: a fixed
#            seed, 200 steps, all actions that end nothing
#   stdout   rubbish
#   ends     0x2a to the debug-exit port, exit code 85; the actions from ENDINGS on end the run otherwise
# Needs 64 MiB of RAM, all of which it touches. It overwrites none of itself unless ENDINGS are allowed.

        .include "guest.inc"

        .set BUFFER, 0x2000000          # a place for data, with room on both sides
        .set BUFFER_BITS, 22
        .set RAM_END, 0x4000000
        .set PAGE, 0x1000
        .set WINDOW, 0x8000000000       # 4 MiB that lead to any GPA
        .set WINDOW_BITS, 22
        .set LARGE_PAGE, 0x83           # present, writable, 2 MiB
        .set TABLE, 0x03                # present, writable
        .set NOTHING, 0xd0000000        # no RAM, no device, up to 0xe0000000
        .set CODE_SELECTOR, 0x08
        .set INTERRUPT_GATE, 0x8e00
        .set DONE, 0x2a

        .set FW_CFG, 0x510
        .set FW_CFG_DMA, 0x514
        .set CMOS, 0x70
        .set PCI, 0xcf8
        .set ACPI, 0x600
        .set TEST_DEVICE, 0xe0
        .set TEST_IRQS, 0x2000
        .set TEST_MEMORY, 0xff000000
        .set KEYBOARD, 0x60
        .set LOCAL_APIC, 0xfee00000
        .set IO_APIC, 0xfec00000

        .globl  _start
_start:
        jmp     set_up
        .balign 8
seed:   .quad   0x9e3779b97f4a7c15
steps:  .quad   200
which:  .quad   (1 << ((endings - actions) / 8)) - 1

actions:
        .quad   ports, strings, mmio, dma, fw_cfg, serial, cmos, pci
        .quad   acpi, addresses, tables, keyboard, test_device
endings:
        .quad   exit_by_port, power_off, reset_by_keyboard, reset_by_port_92, reset_by_port_cf9, panic
        .quad   idt_nowhere, gdt_nowhere, cr3_nowhere, rip_nowhere, rsp_nowhere, tr_nowhere
        .quad   apics, halted, rubbish, control_registers
actions_end:
        .set ACTIONS, (actions_end - actions) / 8

# Ports of which a write may end the run, and those from which a wide write reaches them: first, last.
forbidden:
        .word   0x60, 0x64              # keyboard controller: reset
        .word   0x8f, 0x92              # system control A: reset
        .word   0xf1, 0xf7              # debug exit
        .word   0x502, 0x505            # panic
        .word   0x601, 0x605            # PM1a control
        .word   0xcf6, 0xcf9            # reset control
forbidden_end:

# Ports that are worth more than others.
worthy: .word   0x20, 0x40, 0x43, 0x61, 0x80, 0xa0, 0xe0, 0xe4, 0xe8, 0xe9, 0xea, 0x3f8, 0x2f8, 0x3e8, 0x2e8
        .word   0x402, 0x4d0, FW_CFG, FW_CFG + 1, FW_CFG_DMA, FW_CFG_DMA + 4, ACPI, ACPI + 8, CMOS, CMOS + 1
        .word   PCI, PCI + 4, TEST_IRQS, 0x2017, 0xffff, 0xfffe, 0xfffd
        .set WORTHY, 32

serial_ports:
        .word   0x3f8, 0x2f8, 0x3e8, 0x2e8

        .balign 8
gdt:    .quad   0
        .quad   0x00af9b000000ffff      # CODE_SELECTOR: 64-bit code
        .quad   0x00cf93000000ffff      # data
gdtr:   .word   gdtr - gdt - 1
        .quad   gdt
idtr:   .word   256 * 16 - 1
        .quad   idt

set_up:
        cld
        lgdt    [gdtr]
        mov     edi, offset idt         # every vector leads to `caught`
        mov     ecx, 256
        mov     eax, offset caught
        mov     edx, eax
        shr     edx, 16
1:
        mov     word ptr [rdi], ax
        mov     word ptr [rdi + 2], CODE_SELECTOR
        mov     word ptr [rdi + 4], INTERRUPT_GATE
        mov     word ptr [rdi + 6], dx
        mov     qword ptr [rdi + 8], 0
        add     edi, 16
        dec     ecx
        jnz     1b
        lidt    [idtr]

        mov     rbx, cr3                # the window's page tables
        mov     eax, offset directories + TABLE
        mov     [rbx + 8], rax
        mov     eax, offset directory + TABLE
        mov     [directories], rax

        mov     r15, [seed]             # never 0 by what patches it
        mov     r14, [steps]
        mov     edi, 0x200000           # touch all RAM, random numbers in the buffer
1:
        mov     [rdi], rdi
        add     edi, PAGE
        cmp     edi, RAM_END
        jb      1b
        mov     edi, BUFFER
2:
        call    random
        mov     [rdi], rax
        add     edi, 8
        cmp     edi, BUFFER + 4 * PAGE
        jb      2b

caught:                                 # an exception of any kind: continue
        lidt    [idtr]
next:
        mov     esp, offset stack_end
        cld
        sub     r14, 1
        jc      done
1:
        call    random
        and     eax, 31
        mov     ecx, eax
        mov     edx, [which]
        shr     edx, cl
        test    dl, 1
        jz      1b
        jmp     [actions + rax * 8]
done:
        debug_exit DONE

# A random number in RAX (xorshift, Marsaglia 2003). All others leave the registers alone but for those
# that they return and RCX.
random:
        mov     rax, r15
        shl     rax, 13
        xor     r15, rax
        mov     rax, r15
        shr     rax, 7
        xor     r15, rax
        mov     rax, r15
        shl     rax, 17
        xor     r15, rax
        mov     rax, r15
        ret

# A random number in RAX of random length: small ones, huge ones, and often 0 or -1.
value:
        call    random
        mov     ecx, eax
        shr     rax, cl
        test    ecx, 0x700
        jnz     1f
        shr     ecx, 11
        and     ecx, 1
        movzx   rax, cl
        neg     rax
1:
        ret

# An address in the buffer, in RAX.
in_buffer:
        call    random
        and     eax, (1 << BUFFER_BITS) - 1
        add     eax, BUFFER
        ret

# Any virtual address, in RAX: good, MMIO, not mapped, not canonical. None is in RAM but in the buffer.
address:
        call    random
        mov     ecx, eax
        shr     rax, 8
        and     ecx, 7
        jz      in_buffer
        dec     ecx
        jz      1f
        dec     ecx
        jz      2f
        dec     ecx
        jz      3f
        dec     ecx
        jz      4f
        dec     ecx
        jz      5f
        dec     ecx
        jz      6f
        jmp     aim
1:                                      # nothing is there
        and     eax, 0xfffffff
        add     eax, NOTHING
        ret
2:                                      # the end of what is mapped
        and     eax, 0x1f
        neg     rax
        mov     rcx, 0x100000000
        add     rax, rcx
        ret
3:                                      # not canonical
        mov     rcx, 0x0000800000000000
        or      rax, rcx
        ret
4:                                      # the last bytes of all
        and     eax, 0x1f
        not     rax
        ret
5:                                      # not mapped
        mov     rcx, 0x00007fffffffffff
        and     rax, rcx
        bts     rax, 46
        ret
6:                                      # the test device's memory and its ends
        and     eax, 0x1ffff
        mov     ecx, TEST_MEMORY - 0x8000
        add     rax, rcx
        ret

# Makes the window lead to two random GPAs of 52 bits, none of which is RAM or an APIC, and returns a
# random address in it, in RAX, sometimes one at the seam.
aim:
        call    any_gpa
        mov     [directory], rax
        call    any_gpa
        mov     [directory + 8], rax
        mov     rcx, cr3
        mov     cr3, rcx
        call    random
        mov     ecx, eax
        shr     rax, 32
        and     eax, (1 << WINDOW_BITS) - 8 - 1
        test    ecx, 3
        jnz     1f
        and     eax, 7                  # across the seam
        add     eax, (1 << (WINDOW_BITS - 1)) - 7
1:
        mov     rcx, WINDOW
        add     rax, rcx
        ret
any_gpa:
        call    random
        mov     ecx, eax
        and     ecx, 0x1f
        mov     rdx, 0x000fffffffe00000
        and     rax, rdx
        shl     rax, cl                 # more below than above: all lengths of addresses
        shr     rax, cl
        shr     rax, cl
        and     rax, rdx
        mov     rdx, 0x100000000
        cmp     rax, rdx
        jae     1f
        and     eax, 0x1fe00000
        mov     ecx, NOTHING & 0xf0000000
        or      rax, rcx
        and     eax, 0xdfe00000
1:
        or      rax, LARGE_PAGE
        ret

# Any port that may be written to, in DX.
port:
        call    random
        mov     edx, eax
        test    eax, 0x30000
        jz      1f
        shr     eax, 20
        and     eax, WORTHY - 1
        movzx   edx, word ptr [worthy + rax * 2]
1:
        mov     ecx, offset forbidden
2:
        cmp     dx, [rcx]
        jb      3f
        cmp     dx, [rcx + 2]
        jbe     port
3:
        add     ecx, 4
        cmp     ecx, offset forbidden_end
        jb      2b
        movzx   edx, dx
        ret

# Reads or writes port DX by 1, 2 or 4 bytes.
access:
        call    random
        mov     ebx, eax
        call    value
        test    bl, 1
        jz      4f
        test    bl, 2
        jz      1f
        out     dx, al
        ret
1:
        test    bl, 4
        jz      2f
        out     dx, ax
        ret
2:
        out     dx, eax
        ret
4:
        test    bl, 2
        jz      1f
        in      al, dx
        ret
1:
        test    bl, 4
        jz      2f
        in      ax, dx
        ret
2:
        in      eax, dx
        ret

ports:
        call    port
        call    access
        jmp     next

# REP INS and OUTS, of any size, up and down, thousands of them.
strings:
        call    port
        call    address
        mov     rsi, rax
        mov     rdi, rax
        call    random
        mov     ebx, eax
        call    random
        mov     ecx, eax
        shr     eax, 8
        and     eax, 0x1fff
        and     ecx, 12
        shr     eax, cl
        mov     ecx, eax
        test    bl, 1
        jz      1f
        std
1:
        test    bl, 2
        jz      4f
        test    bl, 4
        jz      2f
        rep     outsb
        jmp     next
2:
        test    bl, 8
        jz      3f
        rep     outsw
        jmp     next
3:
        rep     outsd
        jmp     next
4:
        test    bl, 4
        jz      2f
        rep     insb
        jmp     next
2:
        test    bl, 8
        jz      3f
        rep     insw
        jmp     next
3:
        rep     insd
        jmp     next

# Loads and stores of 1 to 8 bytes, from anywhere, wherever they end.
mmio:
        call    aim
        jmp     1f
addresses:
        call    address
1:
        mov     rdi, rax
        call    random
        mov     ebx, eax
        call    value
        and     ebx, 15
        jmp     [loads + rbx * 8]
        .balign 8
loads:  .quad   load1, load2, load4, load8, store1, store2, store4, store8
        .quad   exchange, increase, copy, fill, push_there, call_there, test_bit, locked
load1:  mov     al, [rdi]
        jmp     next
load2:  mov     ax, [rdi]
        jmp     next
load4:  mov     eax, [rdi]
        jmp     next
load8:  mov     rax, [rdi]
        jmp     next
store1: mov     [rdi], al
        jmp     next
store2: mov     [rdi], ax
        jmp     next
store4: mov     [rdi], eax
        jmp     next
store8: mov     [rdi], rax
        jmp     next
exchange:
        xchg    [rdi], rax
        jmp     next
increase:
        inc     dword ptr [rdi]
        jmp     next
copy:
        call    address
        mov     rsi, rax
        mov     ecx, 40
        rep     movsb
        jmp     next
fill:
        mov     ecx, 40
        rep     stosd
        jmp     next
push_there:
        mov     rax, [rdi]              # if that faults, the exception has no stack
        lea     rsp, [rdi + 8]
        push    rax
        jmp     next
call_there:                             # only to where nothing can be fetched
        mov     rax, 0xffffffff80000000
        or      rdi, rax
        jmp     rdi
test_bit:                               # RAX bits from there
        bt      [rdi], rax
        jmp     next
locked:
        mov     rcx, rdi
        shr     rcx, 28
        cmp     rcx, NOTHING >> 28      # what KVM cannot emulate ends a run
        je      next
        mov     eax, BUFFER
        lock xadd [rax], rdi
        jmp     next

# fw_cfg DMA: requests that are nowhere, half in RAM, over themselves; any control, length and address.
dma:
        call    in_buffer
        and     eax, -16
        mov     rdi, rax
        call    random
        mov     ebx, eax
        call    value                   # the control: often one that does something
        test    ebx, 1
        jz      1f
        and     eax, 0x003f001f
        or      eax, 0x0000000a
1:
        bswap   eax
        mov     [rdi], eax
        call    value
        test    ebx, 2
        jz      2f
        and     eax, 0xffff
2:
        bswap   eax
        mov     [rdi + 4], eax
        call    value                   # anywhere
        test    ebx, 4
        jz      3f
        call    in_buffer
        test    ebx, 0x300
        jnz     3f
        lea     rax, [rdi - 8]          # over the request
3:
        test    ebx, 0xc00
        jnz     4f
        neg     rax                     # around 2^64
4:
        mov     rcx, 0x100000           # but not to the guest's own code and tables
        cmp     rax, rcx
        jb      next
        mov     rcx, BUFFER
        cmp     rax, rcx
        jae     5f
        add     rax, rcx
5:
        bswap   rax
        mov     [rdi + 8], rax

        mov     rax, rdi                # the request's own address
        test    ebx, 0x3000
        jnz     6f
        call    value
        test    ebx, 0x4000
        jnz     6f
        and     eax, 15                 # half behind the end of RAM
        neg     rax
        add     rax, RAM_END
6:
        mov     rsi, rax
        shr     rax, 32
        bswap   eax
        mov     edx, FW_CFG_DMA
        test    ebx, 0x8000
        jz      7f
        out     dx, eax
7:
        mov     eax, esi
        bswap   eax
        mov     edx, FW_CFG_DMA + 4
        test    ebx, 0x70000
        jz      8f
        out     dx, eax
        jmp     next
8:
        mov     edi, BUFFER             # hundreds of requests at once
        mov     rsi, rdi
        mov     ecx, 500
        rep     stosd
        mov     ecx, 500
        rep     outsd
        jmp     next

fw_cfg:
        call    value
        test    eax, 0x10000
        jz      1f
        and     eax, 0x3f
1:
        mov     edx, FW_CFG
        out     dx, ax
        call    random
        mov     ecx, eax
        and     ecx, 0x3ff
        mov     edi, BUFFER
        mov     edx, FW_CFG + 1
        test    eax, 0x10000
        jz      2f
        rep     insb
        jmp     next
2:
        rep     outsb
        jmp     next

# A storm on one register, and on all.
serial:
        call    random
        mov     ebx, eax
        and     ebx, 3
        movzx   edx, word ptr [serial_ports + rbx * 2]
        shr     eax, 8
        and     eax, 7
        add     edx, eax
        call    random
        mov     r13d, eax
        and     r13d, 0x1f
1:
        call    access
        dec     r13d
        jns     1b
        jmp     next

cmos:
        call    random
        out     CMOS, al
        shr     eax, 8
        out     CMOS + 1, al
        in      al, CMOS + 1
        jmp     next

pci:
        call    value
        test    eax, 1
        jz      1f
        or      eax, 0x80000000
1:
        mov     edx, PCI
        out     dx, eax
        call    random
        and     eax, 3
        lea     edx, [rax + PCI + 4]
        call    access
        jmp     next

# All of ACPI but PM1a control.
acpi:
        call    random
        and     eax, 0xf
        lea     edx, [rax + ACPI]
        cmp     al, 6
        jae     1f
        and     edx, ~7                 # 1 to 5: a wide write would reach it
        call    value
        out     dx, al
        in      eax, dx
        jmp     next
1:
        call    access
        jmp     next

# Descriptor tables that point nowhere, while ports are accessed.
tables:
        call    value
        shl     rax, 16                 # canonical, or there would be an exception at once
        sar     rax, 16
        mov     [scratch + 2], rax
        mov     [scratch], ax
        lidt    [scratch]
        call    value
        shl     rax, 16
        sar     rax, 16
        mov     [scratch + 2], rax
        lgdt    [scratch]
        call    port
        in      al, dx
        lidt    [idtr]
        lgdt    [gdtr]
        jmp     next

# The keyboard controller, but for its resets.
keyboard:
        call    random
        or      al, 1
        cmp     ah, 0x80
        jae     1f
        out     KEYBOARD + 4, al
        jmp     2f
1:
        out     KEYBOARD, al
2:
        in      al, KEYBOARD
        in      al, KEYBOARD + 4
        jmp     next

test_device:
        call    random
        and     eax, 0xf
        lea     edx, [rax + TEST_DEVICE]
        cmp     al, 0x10 - 4
        jb      1f
        lea     edx, [rax + TEST_IRQS]
1:
        call    access
        call    value
        mov     edx, TEST_DEVICE + 4    # flush the page at any GPA
        out     dx, eax
        jmp     next

exit_by_port:
        call    value
        out     DEBUG_EXIT, al
        jmp     next
power_off:
        mov     edx, ACPI + 4
        mov     eax, 0x2000
        out     dx, ax
        jmp     next
reset_by_keyboard:
        mov     al, 0xfe
        out     KEYBOARD + 4, al
        jmp     next
reset_by_port_92:
        mov     al, 1
        out     0x92, al
        jmp     next
reset_by_port_cf9:
        mov     edx, PCI + 1
        mov     al, 6
        out     dx, al
        jmp     next
panic:
        mov     edx, 0x505
        mov     al, 1
        out     dx, al
        jmp     next

idt_nowhere:
        call    address
        mov     [scratch + 2], rax
        call    value
        mov     [scratch], ax
        lidt    [scratch]
        ud2
gdt_nowhere:
        call    address
        mov     [scratch + 2], rax
        call    value
        mov     [scratch], ax
        lgdt    [scratch]
        call    value
        mov     ds, ax
        ud2
cr3_nowhere:
        call    value
        mov     cr3, rax
        jmp     next
rip_nowhere:
        call    address
        jmp     rax
rsp_nowhere:
        call    address
        mov     rsp, rax
        push    rax
        ud2
tr_nowhere:
        call    address                 # a 64-bit TSS that is there, its base is not
        mov     rcx, rax
        mov     rbx, 0x0000890000002fff
        mov     [tss], rbx
        mov     [tss + 2], eax
        shr     rax, 24
        mov     [tss + 7], al
        shr     rax, 8
        mov     [tss + 8], eax
        mov     byte ptr [tss + 5], 0x89
        lgdt    [wide_gdtr]
        mov     eax, tss - idt
        ltr     ax
        ud2
apics:
        mov     r13d, 100
1:
        call    random
        mov     edi, LOCAL_APIC
        test    eax, 0x10000
        jz      2f
        mov     edi, IO_APIC
2:
        and     eax, 0xff0
        add     edi, eax
        call    value
        mov     [rdi], eax
        mov     eax, [rdi]
        dec     r13d
        jnz     1b
        sti
        jmp     next
halted:
        hlt
        jmp     next
rubbish:
        call    in_buffer
        and     eax, BUFFER + 4 * PAGE - 1
        jmp     rax
control_registers:
        call    value
        mov     rbx, cr4
        xor     rbx, rax
        mov     cr4, rbx
        call    value
        mov     rbx, cr0
        xor     rbx, rax
        mov     cr0, rbx
        jmp     next

        .balign 4
wide_gdtr:                              # behind the IDT is the descriptor of a TSS
        .word   tss + 15 - idt
        .quad   idt

        .bss
        .balign 0x1000
directories:
        .skip   0x1000
directory:
        .skip   0x1000
idt:    .skip   256 * 16
tss:    .skip   16
scratch:
        .skip   16
        .skip   0x1000
stack_end:
