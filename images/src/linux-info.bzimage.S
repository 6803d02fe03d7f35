# linux-info.bzimage
#   does     has what a bzImage has: real-mode code with a setup header, and protected-mode code with a
#            32-bit and a 64-bit entry; each prints what its loader handed over
#   stdout   32-bit and 64-bit entry, one item a line, numbers in hexadecimal:
#            entry=NN                                                         (32 or 64)
#            loader=NN                                                        (type_of_loader)
#            cmdline=STRING
#            rsdp=................
#            e820 base=................ length=................ type=.        (each entry)
#            setup_data type=........ length=........                         (each node)
#            initrd start=........ size=........ content=FIRST LINE           (if there is one)
#            16-bit entry: entry=16, cs=.... ds=.... sp=...., cmdline=STRING, low=.... (KiB, of
#            INT 12h), e820=.... (entries, of INT 15h), initrd start=........ size=........, and
#            bios=ok through INT 10h
#   ends     HLT: outcome halt, exit code 0
#   exits    1 IO a character (OUT to 0x3f8; to 0xe9 through INT 10h), 1 HLT

        .include "guest.inc"
        .include "hex.inc"
        .include "linux.inc"
        .include "text.inc"

        .set SETUP_SECTS, 2
        .set SETUP_TYPE_MAX, 0x80000009 # of setup_data: up to the seed for random numbers
        .set SMAP, 0x534d4150
        .set KERNEL_BYTES, 0x500
        .set E820_BUFFER, 0x7000        # in the segment of the real-mode code, below its stack

# The real-mode code. It is linked to end where the protected-mode code begins, and names its own
# places as offsets from its start.

        .text
        .code16
        .globl  _start
_start:
        .org    0x1f1
        .byte   SETUP_SECTS
        .word   0                       # root_flags
        .long   KERNEL_BYTES / 16
        .word   0, 0, 0                 # ram_size, vid_mode, root_dev
        .word   0xaa55
        jmp     short real_mode         # and so the header's length
        .ascii  "HdrS"
        .word   0x20f                   # protocol 2.15
        .long   0                       # realmode_swtch
        .word   0x1000                  # start_sys_seg
        .word   version_text - _start - 0x200
        .byte   0                       # type_of_loader
        .byte   1                       # loadflags: LOADED_HIGH
        .word   0                       # setup_move_size
        .long   0x100000                # code32_start
        .long   0, 0                    # ramdisk_image, ramdisk_size
        .long   0                       # bootsect_kludge
        .word   0                       # heap_end_ptr
        .byte   0, 0                    # ext_loader_ver, ext_loader_type
        .long   0                       # cmd_line_ptr
        .long   0x7fffffff              # initrd_addr_max
        .long   0x1000                  # kernel_alignment
        .byte   0, 0                    # relocatable_kernel, min_alignment
        .word   1                       # xloadflags: XLF_KERNEL_64
        .long   255                     # cmdline_size
        .long   0                       # hardware_subarch
        .quad   0                       # hardware_subarch_data
        .long   0, 0                    # payload_offset, payload_length
        .quad   0                       # setup_data
        .quad   0x100000                # pref_address
        .long   KERNEL_BYTES            # init_size
        .long   0                       # handover_offset
        .long   kernel_info - kernel

real_mode:
        call    say
        .asciz  "entry=16\ncs="
        mov     eax, cs
        call    word16
        call    say
        .asciz  " ds="
        mov     eax, ds
        call    word16
        call    say
        .asciz  " sp="
        mov     eax, esp
        call    word16
        call    say
        .asciz  "\ncmdline="
        mov     eax, [BP_CMD_LINE_PTR]
        mov     esi, eax
        and     esi, 15
        shr     eax, 4
        mov     fs, eax
        call    put_fs
        call    say
        .asciz  "\nlow="
        int     0x12
        call    word16

        call    say
        .asciz  "\ne820="
        xor     ebx, ebx
        xor     ebp, ebp
1:      mov     eax, 0xe820
        mov     edx, SMAP
        mov     ecx, E820_SIZE
        mov     edi, E820_BUFFER
        int     0x15
        jc      2f
        add     ebp, 1
        test    ebx, ebx
        jnz     1b
2:      mov     eax, ebp
        call    word16

        call    say
        .asciz  "\ninitrd start="
        mov     eax, [BP_RAMDISK_IMAGE]
        call    long16
        call    say
        .asciz  " size="
        mov     eax, [BP_RAMDISK_SIZE]
        call    long16
        call    say
        .asciz  "\n"

        mov     esi, offset greeting - _start
1:      lodsb
        test    al, al
        jz      2f
        mov     ah, 0x0e
        int     0x10
        jmp     1b
2:      halt

greeting:
        .asciz  "bios=ok\n"

# Writes the string behind the call to COM1, and returns behind it.
say:
        mov     ax, cs
        mov     fs, ax
        pop     si
        call    put_fs
        jmp     si

# Writes the zero-terminated string at FS:SI to COM1. SI ends behind it.
put_fs:
        mov     dx, COM1
1:      lods    al, byte ptr fs:[si]
        test    al, al
        jz      2f
        out     dx, al
        jmp     1b
2:      ret

# Write AX and EAX in hexadecimal to COM1.
word16:
        mov     cl, 12
        jmp     1f
long16:
        mov     cl, 28
1:      mov     edx, eax
        shr     eax, cl
        and     al, 0x0f
        add     al, '0'
        cmp     al, '9'
        jbe     2f
        add     al, 'a' - '9' - 1
2:      mov     edi, edx
        mov     dx, COM1
        out     dx, al
        mov     eax, edi
        sub     cl, 4
        jnc     1b
        ret

version_text:
        .asciz  "linux-info (of the vmexit guest images)"

        .org    (SETUP_SECTS + 1) * 512
kernel:
        .code32
        mov     edi, 0x32
        jmp     show_boot_params

        .org    (SETUP_SECTS + 1) * 512 + 0x200
        mov     edi, 0x64               # the 64-bit entry: the same bytes serve for both
        boot_params_routine

        text_routines
        hex_routine

kernel_info:
        .ascii  "LToP"
        .long   16, 16                  # size, size_total
        .long   SETUP_TYPE_MAX

        .text   2                       # behind the strings of `puts`
        .org    (SETUP_SECTS + 1) * 512 + KERNEL_BYTES
