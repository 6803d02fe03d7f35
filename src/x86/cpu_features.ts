/**
 * The processor's features: which bit of which CPUID leaf each one is.
 *
 * @module
 */

/** A register that CPUID answers in, by its place in `struct kvm_cpuid_entry2`. */
export type CpuidRegister = "eax" | "ebx" | "ecx" | "edx";

/** A register of feature bits. */
export interface FeatureRegister {
  readonly leaf: number;
  readonly subleaf: number;
  readonly register: CpuidRegister;
  /** The names of bits 0, 1, …; `-` for bits that are none or not for a VMM to decide. */
  readonly names: readonly string[];
}

/**
 * Every feature that can be turned on and off, by the name that Linux has for it
 * in /proc/cpuinfo (or, where that shows none, in its headers), and KVM's own by
 * that of Documentation/virt/kvm/x86/cpuid.rst. Bits that follow the
 * state of the machine are missing: OSXSAVE, OSPKE, HTT, CMP_LEGACY.
 *
 * Sources: SDM volume 2A, CPUID; AMD APM volume 3, appendix E.
 */
const REGISTERS: readonly (readonly [number, number, CpuidRegister, string])[] = [
  [
    0x1,
    0,
    "edx",
    "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts " +
    "acpi mmx fxsr sse sse2 ss - tm ia64 pbe",
  ],
  [
    0x1,
    0,
    "ecx",
    "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid " +
    "dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave - avx f16c rdrand hypervisor",
  ],
  [
    0x7,
    0,
    "ebx",
    "fsgsbase tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm cqm - mpx rdt_a avx512f " +
    "avx512dq rdseed adx smap avx512ifma - clflushopt clwb intel_pt avx512pf avx512er avx512cd " +
    "sha_ni avx512bw avx512vl",
  ],
  [
    0x7,
    0,
    "ecx",
    "- avx512vbmi umip pku - waitpkg avx512_vbmi2 shstk gfni vaes vpclmulqdq avx512_vnni " +
    "avx512_bitalg tme avx512_vpopcntdq - la57 - - - - - rdpid - bus_lock_detect cldemote - " +
    "movdiri movdir64b enqcmd sgx_lc",
  ],
  [
    0x7,
    0,
    "edx",
    "- - avx512_4vnniw avx512_4fmaps fsrm - - - avx512_vp2intersect - md_clear - - - serialize - " +
    "tsxldtrk - pconfig arch_lbr ibt - amx_bf16 avx512_fp16 amx_tile amx_int8 spec_ctrl " +
    "intel_stibp flush_l1d arch_capabilities - spec_ctrl_ssbd",
  ],
  [
    0x7,
    1,
    "eax",
    "sha512 sm3 sm4 - avx_vnni avx512_bf16 lass cmpccxadd - - fzrm fsrs fsrc - - - - fred lkgs " +
    "wrmsrns - amx_fp16 hreset avx_ifma - - lam",
  ],
  [
    0x7,
    1,
    "edx",
    "- - - - avx_vnni_int8 avx_ne_convert - - amx_complex - avx_vnni_int16 - - - prefetchi",
  ],
  [0xd, 1, "eax", "xsaveopt xsavec xgetbv1 xsaves xfd"],
  [
    0x4000_0001,
    0,
    "eax",
    "kvm_clocksource kvm_nop_io_delay kvm_mmu_op kvm_clocksource2 kvm_async_pf kvm_steal_time " +
    "kvm_pv_eoi kvm_pv_unhalt - kvm_pv_tlb_flush kvm_async_pf_vmexit kvm_pv_send_ipi " +
    "kvm_poll_control kvm_pv_sched_yield kvm_async_pf_int kvm_msi_ext_dest_id " +
    "kvm_hc_map_gpa_range kvm_migration_control - - - - - - kvm_clocksource_stable_bit",
  ],
  [
    0x8000_0001,
    0,
    "edx",
    "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb rdtscp - lm " +
    "3dnowext 3dnow",
  ],
  [
    0x8000_0001,
    0,
    "ecx",
    "lahf_lm - svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt " +
    "- lwp fma4 tce - nodeid_msr - tbm topoext perfctr_core perfctr_nb - bpext ptsc perfctr_llc " +
    "mwaitx",
  ],
  [0x8000_0007, 0, "ebx", "overflow_recov succor - smca"],
  [0x8000_0007, 0, "edx", "- - - - - - - - nonstop_tsc cpb"],
  [
    0x8000_0008,
    0,
    "ebx",
    "clzero irperf xsaveerptr - rdpru - - - - wbnoinvd - - amd_ibpb - amd_ibrs amd_stibp - " +
    "amd_stibp_always_on - - - - - amd_ppin amd_ssbd virt_ssbd amd_ssb_no cppc amd_psfd btc_no " +
    "amd_ibpb_ret brs",
  ],
];

/** The registers that feature bits are in. */
export const FEATURE_REGISTERS: readonly FeatureRegister[] = REGISTERS.map(
  ([leaf, subleaf, register, names]) => ({ leaf, subleaf, register, names: names.split(" ") }),
);

/** Every feature's name. */
export const CPU_FEATURES: readonly string[] = FEATURE_REGISTERS.flatMap(({ names }) =>
  names.filter((name) => name !== "-")
);

/** Other names that are in use. */
export const FEATURE_ALIASES: Readonly<Record<string, string>> = {
  invtsc: "nonstop_tsc",
  sse3: "pni",
  tsc_deadline: "tsc_deadline_timer",
};

/**
 * A feature's name here by that name or another one in use; `undefined` for none.
 *
 * @example
 * ```ts
 * import { featureByName } from "./cpu_features.ts";
 * console.log(featureByName("sse3"), featureByName("sse17")); // pni undefined
 * ```
 */
export function featureByName(given: string): string | undefined {
  const name = Object.hasOwn(FEATURE_ALIASES, given) ? FEATURE_ALIASES[given]! : given;
  return CPU_FEATURES.includes(name) ? name : undefined;
}

/**
 * What a processor without optional features still has: what long mode and the
 * compilers' x86-64 baseline take (System V ABI, x86-64 supplement, 3.1.1), and
 * the local APIC.
 */
export const BASELINE: ReadonlySet<string> = new Set(
  ("fpu pse tsc msr pae cx8 apic pge cmov mmx fxsr sse sse2 syscall nx lm").split(" "),
);

/**
 * Leaves of optional features that no bit of a {@linkcode FeatureRegister} announces: power
 * management, performance counters, memory encryption and AMD's extended features.
 */
export const UNANNOUNCED_LEAVES: readonly number[] = [
  0x6,
  0xa,
  0x8000_001f,
  0x8000_0021,
  0x8000_0022,
];

/** Changes to the features that KVM offers. */
export interface CpuFeatures {
  /** Begin with {@linkcode BASELINE} alone, not with all that KVM offers. Default false. */
  readonly baseline?: boolean;
  /** Features to turn on. */
  readonly on?: readonly string[];
  /** Features to turn off. */
  readonly off?: readonly string[];
}

/** The bits of a register whose features are wanted. */
export function featureMask(
  { names }: FeatureRegister,
  wanted: (name: string) => boolean,
): number {
  return names.reduce(
    (mask, name, bit) => name !== "-" && wanted(name) ? mask | 1 << bit : mask,
    0,
  );
}

/**
 * The names of the features whose bits are set in a register's value.
 *
 * @example
 * ```ts
 * import { FEATURE_REGISTERS, featureNames } from "./cpu_features.ts";
 * console.log(featureNames(FEATURE_REGISTERS[0]!, 0x11)); // [ "fpu", "tsc" ]
 * ```
 */
export function featureNames({ names }: FeatureRegister, value: number): string[] {
  return names.filter((name, bit) => name !== "-" && (value & 1 << bit) !== 0);
}
