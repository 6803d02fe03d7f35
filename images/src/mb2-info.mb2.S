# mb2-info.mb2
#   does     an ELF32 kernel with a Multiboot 2 header; prints what the loader handed over
#   stdout   one item a line, numbers in hexadecimal, in the order of the loader's tags:
#            magic=36d76289
#            cmdline=STRING
#            loader=NAME
#            module start=........ end=........ string=STRING                 (each module)
#            content=FIRST LINE
#            mem_lower=........ mem_upper=........                            (KiB)
#            mmap base=................ length=................ type=.        (each entry)
#            sections=........ names=STRING   (the first name in the section of sections' names)
#            rsdp=SIGNATURE
#            tag type=........                                                (any other)
#   ends     HLT: outcome halt, exit code 0; debug exit 1 (code 3) if the magic number is wrong
#   exits    1 IO a character (OUT to 0x3f8), 1 HLT

        .include "guest.inc"
        .include "hex.inc"
        .include "linux.inc"
        .include "text.inc"

        .set MB2_HEADER_MAGIC, 0xe85250d6
        .set MB2_LOADER_MAGIC, 0x36d76289 # in EAX at entry

        .set TAG_SIZE, 4                # a tag of the information
        .set TAG_CONTENT, 8

        .section .multiboot, "a"
        .balign 8
header:
        .long   MB2_HEADER_MAGIC
        .long   0                       # architecture: i386
        .long   header_end - header
        .long   -(MB2_HEADER_MAGIC + header_end - header)
request:
        .word   1, 0                    # information request, not optional
        .long   request_end - request
        .long   1, 3, 6, 9              # command line, modules, memory map, ELF sections
request_end:
        .balign 8
        .word   5, 1                    # framebuffer, optional
        .long   20
        .long   1024, 768, 32
        .balign 8
        .word   6, 0                    # module alignment
        .long   8
        .word   0, 0                    # end
        .long   8
header_end:

        .text
        .globl  _start
_start:
        mov     esp, STACK_TOP
        mov     edi, eax
        mov     ebp, ebx
        puts    "magic="
        mov     eax, edi
        hex     8
        puts    "\n"
        cmp     edi, MB2_LOADER_MAGIC
        jne     bad_magic
        lea     edi, [ebp + 8]          # EDI: the tag from here on
next_tag:
        mov     eax, [edi]
        cmp     eax, 1
        je      command_line
        cmp     eax, 2
        je      loader_name
        cmp     eax, 3
        je      module
        cmp     eax, 4
        je      memory_sizes
        cmp     eax, 6
        je      memory_map
        cmp     eax, 9
        je      elf_sections
        cmp     eax, 14
        je      rsdp
        cmp     eax, 15
        je      rsdp
        test    eax, eax
        jz      no_more
        puts    "tag type="
        mov     eax, [edi]
        hex     8
        puts    "\n"
tag_done:
        mov     eax, [edi + TAG_SIZE]
        add     eax, 7
        and     eax, -8
        add     edi, eax
        jmp     next_tag
no_more:
        halt

bad_magic:
        debug_exit 1

command_line:
        puts    "cmdline="
        jmp     1f
loader_name:
        puts    "loader="
1:      lea     esi, [edi + TAG_CONTENT]
        call    put_string
        jmp     tag_done

module:
        puts    "module start="
        mov     eax, [edi + TAG_CONTENT]
        hex     8
        puts    " end="
        mov     eax, [edi + TAG_CONTENT + 4]
        hex     8
        puts    " string="
        lea     esi, [edi + TAG_CONTENT + 8]
        call    put_string
        puts    "content="
        mov     esi, [edi + TAG_CONTENT]
        mov     ecx, [edi + TAG_CONTENT + 4]
        call    put_line
        jmp     tag_done

memory_sizes:
        puts    "mem_lower="
        mov     eax, [edi + TAG_CONTENT]
        hex     8
        puts    " mem_upper="
        mov     eax, [edi + TAG_CONTENT + 4]
        hex     8
        puts    "\n"
        jmp     tag_done

# The loader may make entries longer than today's fields; the tag says how long they are.
memory_map:
        lea     ebp, [edi + TAG_CONTENT + 8]
1:      mov     eax, [edi + TAG_SIZE]
        add     eax, edi
        cmp     ebp, eax
        jae     tag_done
        puts    "mmap base="
        put_quad ebp, E820_BASE
        puts    " length="
        put_quad ebp, E820_LENGTH
        puts    " type="
        mov     eax, [ebp + E820_TYPE]
        hex     1
        puts    "\n"
        add     ebp, [edi + TAG_CONTENT]
        jmp     1b

# The section of names is at an address that the loader chose: it begins with an empty name.
elf_sections:
        puts    "sections="
        mov     eax, [edi + TAG_CONTENT]
        hex     8
        puts    " names="
        mov     eax, [edi + TAG_CONTENT + 4] # size of a section header
        imul    eax, [edi + TAG_CONTENT + 8] # index of the names'
        mov     esi, [edi + eax + TAG_CONTENT + 12 + 12] # sh_addr
        add     esi, 1
        call    put_string
        jmp     tag_done

rsdp:
        puts    "rsdp="
        lea     esi, [edi + TAG_CONTENT]
        mov     ecx, esi
        add     ecx, 8
        call    put_line
        jmp     tag_done

        text_routines
        hex_routine
