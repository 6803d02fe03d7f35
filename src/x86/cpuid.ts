/**
 * What a vCPU's CPUID instruction answers: KVM's own answers, with this vCPU's
 * place among the others and the requested features.
 *
 * The tables are `struct kvm_cpuid2` as KVM reads and writes them.
 *
 * @module
 */

import { KVM_CPUID_ENTRY2 } from "../../ffi/vcpu_structs.ts";
import { KvmUnavailableError } from "../kvm/unavailable.ts";
import {
  BASELINE,
  type CpuFeatures,
  type CpuidRegister,
  FEATURE_REGISTERS,
  featureMask,
  featureNames,
  UNANNOUNCED_LEAVES,
} from "./cpu_features.ts";

/** Whose table is made. */
export interface CpuidOptions {
  /** The vCPU's number, which is its APIC id. */
  readonly cpu: number;
  /** How many vCPUs there are: cores of one package, with a thread each. */
  readonly cpus: number;
  /** Changes to the features. Default: all that KVM offers. */
  readonly features?: CpuFeatures;
  /**
   * The local APIC is KVM's and has the TSC-deadline timer (`KVM_CAP_TSC_DEADLINE_TIMER`):
   * older KVMs leave it to the VMM to say so. Default: as KVM says.
   */
  readonly tscDeadlineTimer?: boolean;
}

/** Words before the first entry: the count, and padding. */
const HEADER_WORDS = 2;
const ENTRY_WORDS = KVM_CPUID_ENTRY2.size / 4;
const { fields } = KVM_CPUID_ENTRY2;
/** The fields of an entry, as indexes of 32-bit words. */
const LEAF = fields.function[0] / 4;
const SUBLEAF = fields.index[0] / 4;
const FLAGS = fields.flags[0] / 4;
const REGISTER: Readonly<Record<CpuidRegister, number>> = {
  eax: fields.eax[0] / 4,
  ebx: fields.ebx[0] / 4,
  ecx: fields.ecx[0] / 4,
  edx: fields.edx[0] / 4,
};
const { eax: EAX, ebx: EBX, ecx: ECX, edx: EDX } = REGISTER;

/** `KVM_CPUID_FLAG_SIGNIFCANT_INDEX`: the leaf has subleafs. */
const HAS_SUBLEAFS = 1;
/** The leaves of the topology, and the most levels that their subleafs tell of here. */
const TOPOLOGY_LEAVES = [0xb, 0x1f] as const;
const LEVELS = 2;
/** Types of the levels of the topology (SDM, CPUID leaf 0xb). */
const LEVEL_TYPE = { thread: 1 << 8, core: 2 << 8 } as const;

/** Leaf 1 EDX: more than one logical processor (HTT). */
const HTT = 1 << 28;
/** Leaf 0x80000001 ECX: these are cores, not threads (CmpLegacy). */
const CMP_LEGACY = 1 << 1;
/** What leaf 0x80000001 EDX repeats of leaf 1 EDX on AMD's processors (APM volume 3, E.4.2). */
const REPEATED = 0x0183_f3ff;
/** Caches of this level and up are shared by all cores. */
const SHARED_CACHE_LEVEL = 3;
/** ECX of leaf 0x80000008: ApicIdSize and the number of cores; the rest stays. */
const AMD_SIZE_FIELDS = 0xf0ff;
/** EBX of leaf 0 of the vendors whose topology leaves are AMD's: AuthenticAMD, HygonGenuine. */
const AMD_VENDORS: readonly number[] = [0x6874_7541, 0x6f67_7948];
/** Leaf 1 ECX: TSC-deadline timer. */
const TSC_DEADLINE_TIMER = 1 << 24;
/** Leaf 7 subleaf 0 ECX: 57-bit linear addresses. */
const LA57 = 1 << 16;

/**
 * Makes the table of one vCPU.
 *
 * @param supported the table of `KVM_GET_SUPPORTED_CPUID`, which stays as it is
 * @returns the table for `KVM_SET_CPUID2`
 * @throws {KvmUnavailableError} for a feature to turn on that KVM does not offer
 * @throws {RangeError} for a feature that does not exist
 *
 * @example
 * ```ts
 * import { Kvm } from "../kvm/kvm.ts";
 * import { cpuidFor } from "./cpuid.ts";
 * using kvm = Kvm.open();
 * using vm = kvm.createVm();
 * using vcpu = vm.createVcpu(1);
 * vcpu.setCpuid2Table(cpuidFor(kvm.supportedCpuidTable(), { cpu: 1, cpus: 2 }));
 * ```
 */
export function cpuidFor(
  supported: Uint8Array<ArrayBuffer>,
  { cpu, cpus, features, tscDeadlineTimer = false }: CpuidOptions,
): Uint8Array<ArrayBuffer> {
  const table = new CpuidTable(supported);
  const basic = table.find(0x1);
  if (tscDeadlineTimer && basic !== undefined) {
    table.put(basic, ECX, TSC_DEADLINE_TIMER, TSC_DEADLINE_TIMER);
  }
  if (features) applyFeatures(table, features);
  applyTopology(table, cpu, cpus);
  return table.bytes;
}

/** A table that is being changed: words, and where its entries begin. */
class CpuidTable {
  readonly words: Uint32Array<ArrayBuffer>;

  /** Copies a table, with room for the levels of the topology. */
  constructor(table: Uint8Array<ArrayBuffer>) {
    const count = new DataView(table.buffer, table.byteOffset).getUint32(0, true);
    const used = HEADER_WORDS + count * ENTRY_WORDS;
    const room = TOPOLOGY_LEAVES.length * LEVELS * ENTRY_WORDS;
    this.words = new Uint32Array(used + room);
    new Uint8Array(this.words.buffer).set(table.subarray(0, used * 4));
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.words.buffer);
  }

  /** The end of the entries, in 32-bit words. */
  get end(): number {
    return HEADER_WORDS + this.words[0]! * ENTRY_WORDS;
  }

  find(leaf: number, subleaf = 0): number | undefined {
    for (let at = HEADER_WORDS; at < this.end; at += ENTRY_WORDS) {
      if (this.words[at + LEAF] !== leaf) continue;
      const hasSubleafs = (this.words[at + FLAGS]! & HAS_SUBLEAFS) !== 0;
      if (hasSubleafs ? this.words[at + SUBLEAF] === subleaf : subleaf === 0) return at;
    }
    return undefined;
  }

  /** Takes all subleafs of a leaf out. */
  remove(leaf: number): void {
    for (let at = HEADER_WORDS; at < this.end;) {
      if (this.words[at + LEAF] !== leaf) {
        at += ENTRY_WORDS;
        continue;
      }
      this.words.copyWithin(at, at + ENTRY_WORDS, this.end);
      this.words[0]!--;
    }
  }

  /** Puts a subleaf after the others; EDX is the vCPU's x2APIC id. */
  append(leaf: number, subleaf: number, [eax, ebx, ecx, edx]: readonly number[]): void {
    const at = this.end;
    this.words[0]!++;
    this.words.fill(0, at, at + ENTRY_WORDS);
    this.words[at + LEAF] = leaf;
    this.words[at + SUBLEAF] = subleaf;
    this.words[at + FLAGS] = HAS_SUBLEAFS;
    this.words[at + EAX] = eax!;
    this.words[at + EBX] = ebx!;
    this.words[at + ECX] = ecx!;
    this.words[at + EDX] = edx!;
  }

  /** Replaces the masked bits of a register. */
  put(at: number, register: number, mask: number, value: number): void {
    this.words[at + register] = (this.words[at + register]! & ~mask) | (value & mask);
  }
}

/** Turns features on and off. Dependent features stay: each bit is set alone. */
function applyFeatures(
  table: CpuidTable,
  { baseline = false, on = [], off = [] }: CpuFeatures,
): void {
  const unknown = new Set([...on, ...off]);
  for (const features of FEATURE_REGISTERS) {
    const { leaf, subleaf, register, names } = features;
    names.forEach((name) => unknown.delete(name));
    const at = table.find(leaf, subleaf);
    const offered = at === undefined ? 0 : table.words[at + REGISTER[register]]!;
    const added = featureMask(features, (name) => on.includes(name));
    const [lacking] = featureNames(features, added & ~offered);
    if (lacking !== undefined) throw featureMissing(lacking);
    if (at === undefined) continue;
    const removed = featureMask(features, (name) => off.includes(name));
    const kept = baseline ? featureMask(features, (name) => BASELINE.has(name)) : ~0;
    const value = (offered & (kept | added)) & ~removed;
    table.put(at, REGISTER[register], ~0, value);
  }
  const [name] = unknown;
  if (name !== undefined) throw new RangeError(`there is no processor feature "${name}"`);
  for (const leaf of baseline ? UNANNOUNCED_LEAVES : []) {
    const at = table.find(leaf);
    if (at !== undefined) table.words.fill(0, at + EAX, at + EDX + 1);
  }
  const [features, addresses] = [table.find(0x7), table.find(0x8000_0008)];
  const la57 = features !== undefined && (table.words[features + ECX]! & LA57) !== 0;
  // Without 57-bit addresses a processor has 48-bit ones.
  if (addresses !== undefined && !la57) table.put(addresses, EAX, 0xff00, 48 << 8);
}

function featureMissing(name: string): KvmUnavailableError {
  return new KvmUnavailableError(
    `this host's KVM does not offer the processor feature ${name}`,
    "leave it out, or use a host whose processor and kernel have it",
    { kind: "processor_feature" },
  );
}

/** Gives a vCPU its APIC id, and its place among the cores of one package. */
function applyTopology(table: CpuidTable, cpu: number, cpus: number): void {
  const { words } = table;
  const vendor = table.find(0);
  const highest = vendor === undefined ? 0 : words[vendor + EAX]!;
  const isAmd = vendor !== undefined && AMD_VENDORS.includes(words[vendor + EBX]!);
  /** Bits of an APIC id that number the cores. */
  const bits = Math.ceil(Math.log2(cpus));
  for (const leaf of TOPOLOGY_LEAVES) {
    table.remove(leaf);
    if (leaf > highest) continue;
    table.append(leaf, 0, [0, 1, LEVEL_TYPE.thread, cpu]);
    table.append(leaf, 1, [bits, cpus, LEVEL_TYPE.core | 1, cpu]);
  }
  const basic = table.find(0x1);
  for (let at = HEADER_WORDS; at < table.end; at += ENTRY_WORDS) {
    switch (words[at + LEAF]) {
      case 0x1:
        // Initial APIC id and logical processors; the size of CLFLUSH and the brand stay.
        table.put(at, EBX, 0xffff_0000, cpu << 24 | Math.min(cpus, 0xff) << 16);
        table.put(at, EDX, HTT, cpus > 1 ? HTT : 0);
        break;
      case 0x4:
        shareCache(table, at, 1 << bits);
        // Ids of cores in the package, for each cache there is.
        if (words[at + EAX]! & 0x1f) {
          table.put(at, EAX, 0xfc00_0000, Math.min((1 << bits) - 1, 0x3f) << 26);
        }
        break;
      case 0x8000_0001:
        if (!isAmd) break;
        table.put(at, ECX, CMP_LEGACY, cpus > 1 ? CMP_LEGACY : 0);
        if (basic !== undefined) {
          table.put(at, EDX, REPEATED, words[at + EDX]! & words[basic + EDX]!);
        }
        break;
      case 0x8000_0008:
        if (isAmd) table.put(at, ECX, AMD_SIZE_FIELDS, bits << 12 | Math.min(cpus - 1, 0xff));
        break;
      case 0x8000_001d:
        shareCache(table, at, cpus);
        break;
      case 0x8000_001e:
        // The extended APIC id, the core's number with one thread, one node.
        if (!isAmd) break;
        table.put(at, EAX, ~0, cpu);
        table.put(at, EBX, 0xffff, cpu & 0xff);
        table.put(at, ECX, 0x7ff, 0);
    }
  }
}

/** Says how many logical processors share a cache: leaf 4's and AMD's EAX have the same fields. */
function shareCache(table: CpuidTable, at: number, sharing: number): void {
  const eax = table.words[at + EAX]!;
  if ((eax & 0x1f) === 0) return; // no more caches
  const level = eax >>> 5 & 7;
  const count = level >= SHARED_CACHE_LEVEL ? Math.min(sharing, 0x1000) : 1;
  table.put(at, EAX, 0xfff << 14, count - 1 << 14);
}
