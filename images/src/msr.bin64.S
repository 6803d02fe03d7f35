# msr.bin64
#   does     reads three model-specific registers and prints them
#   stdout   apic_base=00000000fee00900     (as the VMM or KVM set it)
#            efer=0000000000000500          (LME and LMA; more bits if the VMM sets them)
#            tsc=................           (16 digits, not zero)
#   ends     HLT: outcome halt, exit code 0
#   exits    70 IO (OUT to 0x3f8), 1 HLT; the RDMSRs do not leave KVM

        .include "guest.inc"
        .include "hex.inc"

        .set IA32_TSC, 0x10
        .set IA32_APIC_BASE, 0x1b
        .set IA32_EFER, 0xc0000080

.macro show name, msr
        puts    "\name="
        mov     ecx, \msr
        rdmsr
        shl     rdx, 32
        mov     eax, eax                # clears the upper half, as RDMSR should have
        or      rax, rdx
        hex     16
        puts    "\n"
.endm

        .globl  _start
_start:
        show    apic_base, IA32_APIC_BASE
        show    efer, IA32_EFER
        show    tsc, IA32_TSC
        halt

        hex_routine rax, rbx
