# cpuid.bin64
#   does     prints the vendor string of CPUID leaf 0 and, where leaf 1 says that there is one (ECX bit
#            31), the hypervisor's signature of leaf 0x40000000
#   stdout   vendor=GenuineIntel            (or AuthenticAMD, ...)
#            hypervisor=KVMKVMKVM           (without zero bytes; "none" without one)
#   ends     HLT: outcome halt, exit code 0
#   exits    1 IO a character (OUT to 0x3f8), 1 HLT; CPUID itself does not leave KVM

        .include "guest.inc"

        .globl  _start
_start:
        xor     eax, eax
        cpuid
        mov     edi, edx                # DX is about to be the port
        puts    "vendor="
        mov     eax, ebx
        call    put_chars
        mov     eax, edi
        call    put_chars
        mov     eax, ecx
        call    put_chars

        puts    "\nhypervisor="
        mov     eax, 1
        cpuid
        test    ecx, 1 << 31
        jz      none
        mov     eax, 0x40000000
        cpuid
        mov     edi, edx
        mov     dx, COM1
        mov     eax, ebx
        call    put_chars
        mov     eax, ecx
        call    put_chars
        mov     eax, edi
        call    put_chars
        puts    "\n"
        halt
none:
        puts    "none\n"
        halt

# Writes the bytes of EAX, lowest first, without the zero ones.
put_chars:
        test    al, al
        jz      1f
        out     dx, al
1:      shr     eax, 8
        jnz     put_chars
        ret
