import { assert, assertEquals, assertThrows } from "@std/assert";
import { KVM_CPUID_ENTRY2 } from "../../ffi/vcpu_structs.ts";
import { decodeCounted, encodeCounted } from "../../src/kvm/counted.ts";
import { Kvm } from "../../src/kvm/kvm.ts";
import { KvmUnavailableError } from "../../src/kvm/unavailable.ts";
import type { CpuidEntry } from "../../src/kvm/counted.ts";
import type { CpuFeatures } from "../../src/x86/cpu_features.ts";
import { cpuidFor, type CpuidOptions } from "../../src/x86/cpuid.ts";
import { code, TestGuest } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";

const SHAPE = { headerBytes: 8, entry: KVM_CPUID_ENTRY2 };

type Row = readonly [leaf: number, subleaf: number | null, ...registers: number[]];

function table(rows: readonly Row[]): Uint8Array<ArrayBuffer> {
  return encodeCounted(
    SHAPE,
    rows.map(([leaf, index, eax, ebx, ecx, edx]) => ({
      function: leaf,
      index: index ?? 0,
      flags: index === null ? 0 : 1,
      eax: eax! >>> 0,
      ebx: ebx! >>> 0,
      ecx: ecx! >>> 0,
      edx: edx! >>> 0,
    })),
  );
}

/** An Intel host of 4 cores with 2 threads each, on which KVM says so of guests too. */
const INTEL = table([
  [0x0, null, 0x1f, 0x756e_6547, 0x6c65_746e, 0x4965_6e69],
  [0x1, null, 0x906ea, 0x0510_0800, 0x8000_0201, 0x0fab_fbff | 1 << 28],
  [0x4, 0, 0x1c00_4121, 0x01c0_003f, 0x3f, 0],
  [0x4, 1, 0x1c00_4143, 0x00c0_003f, 0x3ff, 0],
  [0x4, 2, 0x1c03_c163, 0x02c0_003f, 0x3fff, 6],
  [0x4, 3, 0, 0, 0, 0],
  [0x7, 0, 0x1, 0x20, 0x1_0008, 0],
  [0xb, 0, 1, 2, 0x100, 5],
  [0xb, 1, 4, 8, 0x201, 5],
  [0xb, 2, 0, 0, 2, 5],
  [0xd, 0, 0x207, 0x340, 0xa88, 0],
  [0x1f, 0, 1, 2, 0x100, 5],
  [0x4000_0000, null, 0x4000_0001, 0x4b4d_564b, 0x564b_4d56, 0x4d],
  [0x4000_0001, null, 0x9, 0, 0, 0],
  [0x8000_0000, null, 0x8000_0008, 0, 0, 0],
  [0x8000_0001, null, 0, 0, 0x121, 0x2810_0800],
  [0x8000_0008, null, 0x3930, 0, 0, 0],
]);

const AMD = table([
  [0x0, null, 0x10, 0x6874_7541, 0x444d_4163, 0x6974_6e65],
  [0x1, null, 0xa10f11, 0x0502_0800, 0x8120_2000, 0x078b_fbff],
  [0xb, 0, 0, 0, 0, 0],
  [0x8000_0001, null, 0xa10f11, 0x4000_0000, 0x0040_0391, 0x23d3_fbff],
  [0x8000_0008, null, 0x3030, 0x5, 0x1_7001, 0],
  [0x8000_001d, 0, 0x0000_4121, 0x1c0_003f, 0x3f, 0],
  [0x8000_001d, 3, 0x0000_4163, 0x3c0_003f, 0x7fff, 1],
  [0x8000_001e, null, 0x55, 0x0107, 0x703, 0],
]);

/** The registers of a table's entries by leaf, a point and subleaf: `4.0`. */
function made(
  supported: Uint8Array<ArrayBuffer>,
  options: CpuidOptions,
): Record<string, readonly number[]> {
  return Object.fromEntries(
    decodeCounted(SHAPE, cpuidFor(supported, options)).map((entry) => [
      entry.function.toString(16) + (entry.flags & 1 ? `.${entry.index}` : ""),
      [entry.eax, entry.ebx, entry.ecx, entry.edx],
    ]),
  );
}

function withFeatures(
  supported: Uint8Array<ArrayBuffer>,
  features: CpuFeatures,
): Record<string, readonly number[]> {
  return made(supported, { cpu: 0, cpus: 1, features });
}

Deno.test("the only vCPU has APIC id 0 and no neighbours", () => {
  const leaves = made(INTEL, { cpu: 0, cpus: 1 });
  assertEquals(leaves["1"], [0x906ea, 0x0001_0800, 0x8000_0201, 0x0fab_fbff]);
  assertEquals(leaves["b.0"], [0, 1, 0x100, 0]);
  assertEquals(leaves["b.1"], [0, 1, 0x201, 0]);
  assertEquals(leaves["4.2"]![0], 0x0000_0163, "the third cache is its own");
});

Deno.test("the third of five vCPUs knows its APIC id and its neighbours: Intel", () => {
  const leaves = made(INTEL, { cpu: 2, cpus: 5 });
  assertEquals(leaves["1"], [0x906ea, 0x0205_0800, 0x8000_0201, 0x1fab_fbff]);
  assertEquals(leaves["4.0"], [0x1c00_0121, 0x01c0_003f, 0x3f, 0], "the first cache is its own");
  assertEquals(leaves["4.1"]![0], 0x1c00_0143);
  assertEquals(leaves["4.2"]![0], 0x1c01_c163, "ids for 8 share the third");
  assertEquals(leaves["4.3"], [0, 0, 0, 0]);
  for (const leaf of ["b", "1f"]) {
    assertEquals(leaves[`${leaf}.0`], [0, 1, 0x100, 2], "one thread");
    assertEquals(leaves[`${leaf}.1`], [3, 5, 0x201, 2], "five cores, three bits of the id");
    assert(!(`${leaf}.2` in leaves));
  }
  assertEquals(leaves["80000001"]![2], 0x121, "CmpLegacy is AMD's");
  assertEquals(leaves["80000008"]![2], 0, "and so are the sizes");
});

Deno.test("the second of two vCPUs knows its APIC id and its neighbour: AMD", () => {
  const leaves = made(AMD, { cpu: 1, cpus: 2 });
  assertEquals(leaves["1"], [0xa10f11, 0x0102_0800, 0x8120_2000, 0x178b_fbff]);
  assertEquals(leaves["80000001"], [0xa10f11, 0x4000_0000, 0x0040_0393, 0x23d3_fbff]);
  assertEquals(leaves["80000008"]![2], 0x1_1001, "one bit of the id, two cores, the rest stays");
  assertEquals(leaves["8000001d.0"]![0], 0x121);
  assertEquals(leaves["8000001d.3"]![0], 0x4163);
  assertEquals(leaves["8000001e"], [1, 1, 0, 0]);
  assertEquals(leaves["b.1"], [1, 2, 0x201, 1]);
  assert(!("1f.0" in leaves), "the highest leaf is 0x10");
});

Deno.test("ids and counts that do not fit in eight bits are in the x2APIC leaf", () => {
  const leaves = made(INTEL, { cpu: 299, cpus: 300 });
  assertEquals(leaves["1"]![1]! >>> 16, (299 & 0xff) << 8 | 0xff);
  assertEquals(leaves["b.1"], [9, 300, 0x201, 299]);
  assertEquals(leaves["4.2"]![0]! >>> 26, 0x3f);
});

Deno.test("leaves that all vCPUs share do not change, nor does the given table", () => {
  const before = INTEL.slice();
  const leaves = made(INTEL, { cpu: 3, cpus: 4 });
  for (const leaf of ["0", "7.0", "d.0", "40000000", "40000001", "80000000"]) {
    assertEquals(leaves[leaf], made(INTEL, { cpu: 0, cpus: 1 })[leaf]);
  }
  assertEquals(leaves["d.0"], [0x207, 0x340, 0xa88, 0]);
  assertEquals(INTEL, before);
});

Deno.test("a table is made with room to spare, and of a table that has none of these leaves", () => {
  const bytes = new Uint8Array(INTEL.length + 4000);
  bytes.set(INTEL);
  assertEquals(made(bytes, { cpu: 0, cpus: 2 }), made(INTEL, { cpu: 0, cpus: 2 }));
  assertEquals(made(table([]), { cpu: 0, cpus: 2, features: { baseline: true } }), {});
});

Deno.test("the TSC-deadline timer is announced where KVM leaves that to the VMM", () => {
  const leaves = made(INTEL, { cpu: 0, cpus: 1, tscDeadlineTimer: true });
  assertEquals(leaves["1"]![2], 0x8100_0201);
  const off = {
    cpu: 0,
    cpus: 1,
    tscDeadlineTimer: true,
    features: { off: ["tsc_deadline_timer"] },
  };
  assertEquals(made(INTEL, off)["1"]![2], 0x8000_0201);
});

Deno.test("a feature is turned off, and nothing else", () => {
  const before = withFeatures(INTEL, {});
  const after = withFeatures(INTEL, { off: ["hypervisor", "pku"] });
  assertEquals(after["1"]![2], 0x0000_0201);
  assertEquals(after["7.0"]![2], 0x1_0000);
  assertEquals({ ...after, "1": before["1"]!, "7.0": before["7.0"]! }, before);
});

Deno.test("AMD's copy of leaf 1 follows it", () => {
  const leaves = withFeatures(AMD, { off: ["mmx", "cx8"] });
  assertEquals(leaves["1"]![3], 0x070b_faff);
  assertEquals(leaves["80000001"]![3], 0x2353_faff);
});

Deno.test("without 57-bit addresses there are 48 bits", () => {
  assertEquals(withFeatures(INTEL, {})["80000008"]![0], 0x3930);
  assertEquals(withFeatures(INTEL, { off: ["la57"] })["80000008"]![0], 0x3030);
});

Deno.test("the baseline is the part of every 64-bit processor's features that KVM offers", () => {
  const leaves = withFeatures(INTEL, { baseline: true });
  assertEquals(leaves["1"]!.slice(2), [0, 0x0780_a379]);
  assertEquals(leaves["7.0"], [0x1, 0, 0, 0]);
  assertEquals(leaves["40000001"], [0, 0, 0, 0]);
  assertEquals(leaves["80000001"]!.slice(2), [0, 0x2010_0800]);
  const more = withFeatures(INTEL, { baseline: true, on: ["pku"], off: ["nx"] });
  assertEquals([more["7.0"]![2], more["80000001"]![3]], [0x8, 0x2000_0800]);
});

Deno.test("a feature that KVM does not offer cannot be turned on, nor an unknown one", () => {
  const [missing, absent] = ["avx512f", "clzero"].map((name) =>
    assertThrows(() => withFeatures(INTEL, { on: [name] }), KvmUnavailableError)
  );
  assertEquals(
    missing!.problem,
    "this host's KVM does not offer the processor feature avx512f",
  );
  assert(absent!.problem.includes("clzero"), "a leaf whose bits are not there");
  assertThrows(() => withFeatures(table([]), { on: ["nx"] }), KvmUnavailableError);
  assertThrows(() => withFeatures(INTEL, { off: ["warp"] }), RangeError, 'feature "warp"');
});

function leafOf(entries: readonly CpuidEntry[], leaf: number, index: number): CpuidEntry {
  return entries.find((entry) => entry.function === leaf && entry.index === index)!;
}

kvmTest("KVM takes the table of each vCPU of several", () => {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  const supported = kvm.supportedCpuidTable();
  for (const cpu of [0, 1, 2]) {
    using vcpu = vm.createVcpu(cpu);
    vcpu.setCpuid2Table(cpuidFor(supported, { cpu, cpus: 3 }));
    const entries = vcpu.cpuid2();
    assertEquals(leafOf(entries, 1, 0).ebx >>> 16, cpu << 8 | 3);
    const { eax, ebx, edx } = leafOf(entries, 0xb, 1);
    assertEquals([eax, ebx, edx], [2, 3, cpu]);
  }
});

kvmTest("a guest reads its x2APIC id with CPUID, behind the last level too", () => {
  using guest = new TestGuest();
  const supported = guest.kvm.supportedCpuidTable();
  guest.vcpu.setCpuid2Table(cpuidFor(supported, { cpu: 5, cpus: 6 }));
  for (const level of [0n, 1n, 2n]) {
    guest.enterLong(code("0f a2 e6 80"), 0, { rax: 0xbn, rcx: level }); // cpuid; out 0x80, al
    assertEquals(guest.run().reason, "IO");
    guest.vcpu.cycle.completePending();
    const { rbx, rdx } = guest.vcpu.regs();
    assertEquals([rbx, rdx], [[1n, 6n, 0n][Number(level)], 5n]);
  }
});

kvmTest("KVM takes tables without features, and the guest still runs", () => {
  using kvm = Kvm.open();
  const supported = kvm.supportedCpuidTable();
  for (const features of [{ baseline: true }, { off: ["x2apic", "hypervisor", "nx", "lahf_lm"] }]) {
    using guest = new TestGuest();
    guest.vcpu.setCpuid2Table(cpuidFor(supported, { cpu: 0, cpus: 1, features }));
    guest.enterLong(code("e6 80"), 0);
    assertEquals(guest.run().reason, "IO");
    const seen = leafOf(guest.vcpu.cpuid2(), 1, 0).ecx;
    assertEquals([seen >>> 31, seen >>> 21 & 1], [0, 0], "hypervisor and x2apic");
  }
});
