# mb-info.mb
#   does     prints what a Multiboot 1 loader handed over: the magic number, its name, the command
#            line, the memory sizes and map, and each module with the first line of its content
#   stdout   one item a line, numbers in hexadecimal, without those that the loader's flags call invalid:
#            magic=2badb002
#            flags=........
#            loader=NAME
#            cmdline=STRING
#            mem_lower=........             (KiB)
#            mem_upper=........             (KiB)
#            mmap base=................ length=................ type=.        (each entry)
#            module start=........ end=........ string=STRING                 (each module)
#            content=FIRST LINE
#   ends     HLT: outcome halt, exit code 0; debug exit 1 (code 3) if the magic number is wrong
#   exits    1 IO a character (OUT to 0x3f8), 1 HLT

        .include "guest.inc"
        .include "hex.inc"
        .include "multiboot.inc"
        .include "text.inc"

        multiboot_header flags=MB_WANT_MEMORY

        .text
        .globl  _start
_start:
        mov     esp, offset stack_top   # a Multiboot guest is entered without a stack
        mov     ebp, ebx                # EBP: the information structure from here on
        mov     edi, eax
        puts    "magic="
        mov     eax, edi
        call    put_word
        cmp     edi, MB_LOADER_MAGIC
        jne     bad_magic
        puts    "flags="
        mov     eax, [ebp + MB_FLAGS]
        call    put_word

        test    dword ptr [ebp + MB_FLAGS], 1 << 9
        jz      1f
        puts    "loader="
        mov     esi, [ebp + MB_LOADER_NAME]
        call    put_string
1:
        test    dword ptr [ebp + MB_FLAGS], 1 << 2
        jz      1f
        puts    "cmdline="
        mov     esi, [ebp + MB_CMDLINE]
        call    put_string
1:
        test    dword ptr [ebp + MB_FLAGS], 1 << 0
        jz      1f
        puts    "mem_lower="
        mov     eax, [ebp + MB_MEM_LOWER]
        call    put_word
        puts    "mem_upper="
        mov     eax, [ebp + MB_MEM_UPPER]
        call    put_word
1:
        test    dword ptr [ebp + MB_FLAGS], 1 << 6
        jz      1f
        call    put_memory_map
1:
        test    dword ptr [ebp + MB_FLAGS], 1 << 3
        jz      1f
        call    put_modules
1:
        halt

bad_magic:
        debug_exit 1

# One line an entry. The loader may make entries longer than today's fields: MB_MMAP_SIZE, which
# does not count itself, says where the next one is.
put_memory_map:
        mov     edi, [ebp + MB_MMAP_ADDR]
next_entry:
        mov     eax, edi
        sub     eax, [ebp + MB_MMAP_ADDR]
        cmp     eax, [ebp + MB_MMAP_LENGTH]
        jae     1f
        puts    "mmap base="
        mov     eax, [edi + MB_MMAP_BASE + 4]
        hex     8
        mov     eax, [edi + MB_MMAP_BASE]
        hex     8
        puts    " length="
        mov     eax, [edi + MB_MMAP_BYTES + 4]
        hex     8
        mov     eax, [edi + MB_MMAP_BYTES]
        hex     8
        puts    " type="
        mov     eax, [edi + MB_MMAP_TYPE]
        hex     1
        puts    "\n"
        mov     eax, [edi + MB_MMAP_SIZE]
        lea     edi, [edi + eax + 4]
        jmp     next_entry
1:      ret

put_modules:
        mov     edi, [ebp + MB_MODS_ADDR]
        mov     eax, [ebp + MB_MODS_COUNT]
        mov     [modules_left], eax
next_module:
        sub     dword ptr [modules_left], 1
        jc      1f
        puts    "module start="
        mov     eax, [edi + MB_MOD_START]
        hex     8
        puts    " end="
        mov     eax, [edi + MB_MOD_END]
        hex     8
        puts    " string="
        mov     esi, [edi + MB_MOD_STRING]
        call    put_string
        puts    "content="
        mov     esi, [edi + MB_MOD_START]
        mov     ecx, [edi + MB_MOD_END]
        call    put_line
        add     edi, MB_MOD_SIZE
        jmp     next_module
1:      ret

# Writes EAX in hexadecimal and ends the line.
put_word:
        hex     8
        puts    "\n"
        ret

        text_routines
        hex_routine

        .bss
        .balign 16
        .skip   256
stack_top:
modules_left:
        .skip   4
