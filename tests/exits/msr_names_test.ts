import { assert, assertEquals } from "@std/assert";
import { msrName, msrNames } from "../../src/exits/msr_names.ts";

const EXAMPLES: readonly (readonly [index: number, name: string | undefined])[] = [
  [0x10, "IA32_TIME_STAMP_COUNTER"],
  [0x11, "MSR_KVM_WALL_CLOCK"],
  [0x1b, "IA32_APIC_BASE"],
  [0x8f, "IA32_SGXLEPUBKEYHASH3"],
  [0x174, "IA32_SYSENTER_CS"],
  [0x176, "IA32_SYSENTER_EIP"],
  [0x1a0, "IA32_MISC_ENABLE"],
  [0x20f, "IA32_MTRR_PHYSMASK7"],
  [0x26f, "IA32_MTRR_FIX4K_F8000"],
  [0x277, "IA32_PAT"],
  [0x2ff, "IA32_MTRR_DEF_TYPE"],
  [0x38f, "IA32_PERF_GLOBAL_CTRL"],
  [0x400, "IA32_MC0_CTL"],
  [0x405, "IA32_MC1_STATUS"],
  [0x480, "IA32_VMX_BASIC"],
  [0x48c, "IA32_VMX_EPT_VPID_CAP"],
  [0x492, "IA32_VMX_PROCBASED_CTLS3"],
  [0x6e0, "IA32_TSC_DEADLINE"],
  [0x80b, "IA32_X2APIC_EOI"],
  [0x817, "IA32_X2APIC_ISR7"],
  [0x818, "IA32_X2APIC_TMR0"],
  [0x830, "IA32_X2APIC_ICR"],
  [0x837, "IA32_X2APIC_LVT_ERROR"],
  [0x83f, "IA32_X2APIC_SELF_IPI"],
  [0x831, undefined],
  [0xda0, "IA32_XSS"],
  [0x40000000, "HV_X64_MSR_GUEST_OS_ID"],
  [0x4000009f, "HV_X64_MSR_SINT15"],
  [0x400000b7, "HV_X64_MSR_STIMER3_COUNT"],
  [0x40000104, "HV_X64_MSR_CRASH_P4"],
  [0x40000105, "HV_X64_MSR_CRASH_CTL"],
  [0x4b564d00, "MSR_KVM_WALL_CLOCK_NEW"],
  [0x4b564d08, "MSR_KVM_MIGRATION_CONTROL"],
  [0xc0000080, "IA32_EFER"],
  [0xc0000082, "IA32_LSTAR"],
  [0xc0000103, "IA32_TSC_AUX"],
  [0xc0010015, "HWCR"],
  [0xc0010117, "VM_HSAVE_PA"],
  [0xc0010201, "PERF_CTR0"],
  [0xc001020a, "PERF_CTL5"],
  [0xc0011029, "DE_CFG"],
  [0xdeadbeef, undefined],
];

for (const [index, name] of EXAMPLES) {
  Deno.test(`MSR 0x${index.toString(16)} is ${name ?? "unnamed"}`, () => {
    assertEquals(msrName(index), name);
  });
}

Deno.test("MSR indexes fit in ECX and no two of them share a name", () => {
  const seen = new Set<string>();
  for (const [index, name] of msrNames()) {
    assert(Number.isInteger(index) && index >= 0 && index <= 0xffffffff, `${name} at ${index}`);
    assert(/^[A-Z][A-Za-z0-9_]+$/.test(name), `${name} is not a register name`);
    assert(!seen.has(name), `${name} is named twice`);
    seen.add(name);
  }
});
