import { assert, assertEquals } from "@std/assert";
import {
  BASELINE,
  CPU_FEATURES,
  FEATURE_REGISTERS,
  featureMask,
  featureNames,
} from "../../src/x86/cpu_features.ts";

/** Where features are, by the SDM and the APM: one that a slip of the table would move, and its like. */
const PLACES = [
  ["fpu", 0x1, 0, "edx", 0],
  ["sep", 0x1, 0, "edx", 11],
  ["clflush", 0x1, 0, "edx", 19],
  ["pbe", 0x1, 0, "edx", 31],
  ["sse4_2", 0x1, 0, "ecx", 20],
  ["tsc_deadline_timer", 0x1, 0, "ecx", 24],
  ["hypervisor", 0x1, 0, "ecx", 31],
  ["avx2", 0x7, 0, "ebx", 5],
  ["smap", 0x7, 0, "ebx", 20],
  ["avx512vl", 0x7, 0, "ebx", 31],
  ["pku", 0x7, 0, "ecx", 3],
  ["la57", 0x7, 0, "ecx", 16],
  ["rdpid", 0x7, 0, "ecx", 22],
  ["sgx_lc", 0x7, 0, "ecx", 30],
  ["fsrm", 0x7, 0, "edx", 4],
  ["ibt", 0x7, 0, "edx", 20],
  ["spec_ctrl_ssbd", 0x7, 0, "edx", 31],
  ["avx512_bf16", 0x7, 1, "eax", 5],
  ["lam", 0x7, 1, "eax", 26],
  ["prefetchi", 0x7, 1, "edx", 14],
  ["xsaves", 0xd, 1, "eax", 3],
  ["kvm_hc_map_gpa_range", 0x4000_0001, 0, "eax", 16],
  ["kvm_clocksource_stable_bit", 0x4000_0001, 0, "eax", 24],
  ["syscall", 0x8000_0001, 0, "edx", 11],
  ["nx", 0x8000_0001, 0, "edx", 20],
  ["lm", 0x8000_0001, 0, "edx", 29],
  ["svm", 0x8000_0001, 0, "ecx", 2],
  ["topoext", 0x8000_0001, 0, "ecx", 22],
  ["mwaitx", 0x8000_0001, 0, "ecx", 29],
  ["nonstop_tsc", 0x8000_0007, 0, "edx", 8],
  ["wbnoinvd", 0x8000_0008, 0, "ebx", 9],
  ["amd_ssbd", 0x8000_0008, 0, "ebx", 24],
] as const;

for (const [name, leaf, subleaf, register, bit] of PLACES) {
  Deno.test(`${name} is bit ${bit} of ${register} of CPUID leaf 0x${leaf.toString(16)}`, () => {
    const holder = FEATURE_REGISTERS.find(({ names }) => names.includes(name))!;
    assertEquals([holder.leaf, holder.subleaf, holder.register], [leaf, subleaf, register]);
    assertEquals(featureMask(holder, (other) => other === name), 1 << bit);
    assertEquals(featureNames(holder, 1 << bit), [name]);
  });
}

Deno.test("no two features share a name, and no register has more than 32", () => {
  assertEquals(new Set(CPU_FEATURES).size, CPU_FEATURES.length);
  for (const { names } of FEATURE_REGISTERS) assert(names.length <= 32, names.join(" "));
  for (const name of CPU_FEATURES) assert(/^[a-z0-9_]+$/.test(name), name);
});

Deno.test("what every processor has are features", () => {
  for (const name of BASELINE) assert(CPU_FEATURES.includes(name), name);
});
