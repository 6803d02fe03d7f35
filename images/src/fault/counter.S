# fault/counter.bin64, counter-user.bin64
#   does     stores to each of 1000 pages from 16 MiB on in four ways: INC and ADD of one counter, PUSH,
#            MOV. Which of the four touches a page first changes from page to page. Counts the pages
#            that then hold exactly what they must: no store lost, none done twice
#   stdout   count=1000
#   fault    1000 times, write at 0x1000000 + i * 0x1000 (INC, ADD: 4 bytes; an emulator may see the
#            read first), + 0x7f8 (PUSH: 8 bytes) or + 8 (MOV: 8 bytes)

        .include "fault/fault.inc"
        .include "fault/many.inc"

        .set    COUNT, 1000

        begin
        mov     rbp, rsp
        mov     edi, PAGES
        xor     esi, esi                # the page's number
        xor     r8d, r8d                # how many pages are right
page:
        mov     rbx, 0x0123456789abcdef # what PUSH and MOV store
        add     rbx, rsi
        mov     r9d, esi                # which store is next
        mov     ecx, 4
store:
        and     r9d, 3
        jz      by_inc
        cmp     r9d, 1
        je      by_add
        cmp     r9d, 2
        je      by_push
        mov     [rdi + 8], rbx
stored:
        inc     r9d
        dec     ecx
        jnz     store

        mov     eax, [rdi]
        cmp     eax, 3
        jne     next
        cmp     [rdi + 8], rbx
        jne     next
        cmp     [rdi + 0x7f8], rbx
        jne     next
        inc     r8d
next:
        add     rdi, 0x1000
        inc     esi
        cmp     esi, COUNT
        jne     page

        puts    "count="
        mov     eax, r8d
        mov     ecx, 1000
        mov     ebx, 10
digit:
        xor     edx, edx
        div     ecx                     # EAX: the digit, EDX: the rest
        mov     r9d, edx
        add     al, '0'
        mov     dx, COM1
        out     dx, al
        mov     eax, ecx
        xor     edx, edx
        div     ebx
        mov     ecx, eax
        mov     eax, r9d
        test    ecx, ecx
        jnz     digit
        puts    "\n"
        finish

by_inc:
        inc     dword ptr [rdi]
        jmp     stored
by_add:
        add     dword ptr [rdi], 2
        jmp     stored
by_push:
        lea     rsp, [rdi + 0x800]
        push    rbx
        mov     rsp, rbp
        jmp     stored
