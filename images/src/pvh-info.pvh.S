# pvh-info.pvh
#   does     an ELF32 kernel with a PVH entry, which its note names; prints what hvm_start_info says
#   stdout   one item a line, numbers in hexadecimal:
#            magic=336ec578
#            version=........
#            cmdline=STRING
#            rsdp=................
#            memmap base=................ length=................ type=.      (each entry)
#            module start=................ size=................ string=STRING  (each module)
#            content=FIRST LINE
#   ends     HLT: outcome halt, exit code 0; debug exit 1 (code 3) if the magic number is wrong
#   exits    1 IO a character (OUT to 0x3f8), 1 HLT

        .include "guest.inc"
        .include "hex.inc"
        .include "linux.inc"
        .include "text.inc"

        .set START_MAGIC, 0x336ec578
        .set START_VERSION, 4           # hvm_start_info
        .set START_MODULES, 12
        .set START_MODULE_LIST, 16
        .set START_CMDLINE, 24
        .set START_RSDP, 32
        .set START_MEMMAP, 40
        .set START_MEMMAP_ENTRIES, 48

        .set MODULE_START, 0            # an entry of the module list
        .set MODULE_BYTES, 8
        .set MODULE_CMDLINE, 16
        .set MODULE_SIZE, 32

        .set MEMMAP_SIZE, 24            # an entry of the memory map, which begins as in E820

        .section .notes, "a"
        elf_note Xen, 18                # XEN_ELFNOTE_PHYS32_ENTRY

        .text
        .globl  _start
_start:
        mov     esp, STACK_TOP
        mov     ebp, ebx
        puts    "magic="
        mov     eax, [ebp]
        hex     8
        cmp     dword ptr [ebp], START_MAGIC
        jne     bad_magic
        puts    "\nversion="
        mov     eax, [ebp + START_VERSION]
        hex     8
        puts    "\ncmdline="
        mov     esi, [ebp + START_CMDLINE]
        call    put_string
        puts    "rsdp="
        put_quad ebp, START_RSDP
        puts    "\n"

        mov     edi, [ebp + START_MEMMAP]
next_entry:
        sub     dword ptr [ebp + START_MEMMAP_ENTRIES], 1
        jc      map_done
        puts    "memmap base="
        put_quad edi, E820_BASE
        puts    " length="
        put_quad edi, E820_LENGTH
        puts    " type="
        mov     eax, [edi + E820_TYPE]
        hex     1
        puts    "\n"
        add     edi, MEMMAP_SIZE
        jmp     next_entry
map_done:
        mov     edi, [ebp + START_MODULE_LIST]
next_module:
        sub     dword ptr [ebp + START_MODULES], 1
        jc      modules_done
        puts    "module start="
        put_quad edi, MODULE_START
        puts    " size="
        put_quad edi, MODULE_BYTES
        puts    " string="
        mov     esi, [edi + MODULE_CMDLINE]
        call    put_string
        puts    "content="
        mov     esi, [edi + MODULE_START]
        mov     ecx, [edi + MODULE_BYTES]
        add     ecx, esi
        call    put_line
        add     edi, MODULE_SIZE
        jmp     next_module
modules_done:
        halt

bad_magic:
        debug_exit 1

        text_routines
        hex_routine
