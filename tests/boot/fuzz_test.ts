/**
 * Damaged images: whatever is wrong with one, planning its boot gives a plan that
 * is sound or an `ImageError`, and running the plan harms only the guest.
 *
 * @module
 */

import { assert, assertGreater } from "@std/assert";
import { planBoot } from "../../src/boot/detect.ts";
import { ImageError } from "../../src/boot/image.ts";
import { isLinux } from "../../src/boot/linux_header.ts";
import {
  BOOT_PROTOCOLS,
  type BootOptions,
  type BootPlan,
  type BootProtocol,
  entryAddress,
  type Segment,
} from "../../src/boot/plan.ts";
import { detailsText } from "../../src/exits/describe.ts";
import { VirtualMachine } from "../../src/machine/machine.ts";
import { describeOutcome, exitCodeOf } from "../../src/machine/outcome.ts";
import { isRam, ramLayout } from "../../src/memory/ram.ts";
import {
  dynamicElf,
  elf,
  HALT,
  imageFile,
  LOAD_ADDRESS,
  multiboot,
  multibootHeader,
  note,
} from "../lib/images.ts";
import { gzipSync } from "node:zlib";
import { concat } from "../../src/bytes.ts";
import { bzImage } from "../lib/linux.ts";
import { kvmTest } from "../lib/kvm.ts";
import { observer } from "../lib/machine.ts";
import { Random } from "../lib/random.ts";

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const GIB = 2 ** 30;

const code = new Uint8Array(64).fill(0x90);
const IMAGES: readonly Uint8Array[] = [
  ...["hello.elf", "hello32.elf", "hello.mb", "hello.kludge", "mb-info.mb"].map(imageFile),
  ...["hello.bin16", "regs.bin32", "strio.bin64", "msr.bin64"].map(imageFile),
  multiboot({ code, before: code }),
  ...["linux-info.bzimage", "vmlinux.elf", "pvh-info.pvh", "mb2-info.mb2"].map(imageFile),
  bzImage({ relocatable_kernel: 1, pref_address: 0x20_0000n, kernel_alignment: 0x20_0000 }),
  bzImage({ version: 0x201, loadflags: 0, kernel_version: 0x10 }),
  bzImage({ version: 0x207, xloadflags: 0, payload_length: 4 }),
  elf({ bits: 32, segments: [{ bytes: multibootHeader(7) }, { bytes: code, p_paddr: 0x8000n }] }),
  elf({
    segments: [
      { bytes: code, p_paddr: LOAD_ADDRESS, p_memsz: 0x2000n },
      { bytes: HALT, p_paddr: 0x20_0000n, p_vaddr: 0xffff_ffff_8000_0000n },
      { p_paddr: 0x1000n, p_memsz: 0x6000n },
    ],
    header: { e_entry: 0xffff_ffff_8000_0000n },
  }),
  dynamicElf([[7n, 0x28n], [8n, 72n], [9n, 24n]], new Uint8Array(0x80).fill(8)),
  elf({
    segments: [
      { bytes: code, p_memsz: 0x4000n },
      { bytes: code, p_paddr: LOAD_ADDRESS + 0x1000n },
      { bytes: concat([note("GNU", 5, code), note("Xen", 18, new Uint8Array(4))]), p_type: 4 },
    ],
  }),
  gzipSync(imageFile("hello.mb")),
];

/** Values at which arithmetic tends to overflow. */
const EXTREMES = [0n, 1n, 0x7fn, 0x1000n, 0x7000n, 0xf_ffffn, 0x10_0000n, 0x40_0000n, 0x7fff_ffffn]
  .flatMap((
    value,
  ) => [value, -value, (1n << 32n) - value, (1n << 63n) - value, (1n << 53n) + value]);

function mutate(random: Random, image: Uint8Array): Uint8Array {
  let bytes = image.slice();
  for (let i = 0; i <= random.below(4); i++) {
    if (bytes.length === 0) break;
    // Most damage is done to the header: at the beginning, or where Linux has it.
    const start = bytes.length > 0x270 && isLinux(image) ? 0x1f0 : 0;
    const at = random.below(4) === 0
      ? random.below(bytes.length)
      : start + random.below(Math.min(bytes.length - start, start ? 0x80 : 160));
    switch (random.below(6)) {
      case 0:
        bytes[at]! ^= 1 << random.below(8);
        break;
      case 1:
        bytes[at] = random.below(256);
        break;
      case 2:
        bytes = bytes.slice(0, random.below(bytes.length + 1));
        break;
      case 3: {
        const size = random.of([2, 4, 8]);
        const field = new Uint8Array(8);
        new DataView(field.buffer).setBigInt64(0, BigInt.asIntN(64, random.of(EXTREMES)), true);
        const start = Math.min(at & ~1, Math.max(0, bytes.length - size));
        bytes.set(field.subarray(0, Math.min(size, bytes.length)), start);
        break;
      }
      case 4: {
        const other = random.of(IMAGES);
        const piece = other.subarray(random.below(other.length)).subarray(0, bytes.length - at);
        bytes.set(piece, at);
        break;
      }
      case 5:
        bytes = new Uint8Array([...bytes, ...random.of(IMAGES).subarray(0, random.below(64))]);
        break;
    }
  }
  return bytes;
}

function randomOptions(random: Random, sizes: readonly number[]): BootOptions {
  const address = () => BigInt.asUintN(64, random.of(EXTREMES));
  return {
    ram: ramLayout(random.of(sizes)),
    ...(random.below(2) ? { commandLine: "x".repeat(random.below(6000)) } : {}),
    ...(random.below(2)
      ? {
        modules: Array.from({ length: random.below(4) }, (_, i) => ({
          name: `module ${i}`,
          bytes: new Uint8Array(random.below(0x3000)),
        })),
      }
      : {}),
    ...(random.below(4) === 0 ? { loadAddress: address() } : {}),
    ...(random.below(4) === 0 ? { entry: address() } : {}),
    ...(random.below(2) ? { rngSeed: new Uint8Array(32) } : {}),
    ...(random.below(4) === 0 ? { reserved: [{ gpa: 0xf_0000, sizeBytes: 0x8000, type: 3 }] } : {}),
    ...(random.below(4) === 0 ? { rsdp: { gpa: 0xf_0000n, bytes: new Uint8Array(36) } } : {}),
    ...(random.below(16) === 0 ? { payload: mutate(random, imageFile("vmlinux.elf")) } : {}),
  };
}

/** A damaged image's plan, or `undefined` where it was refused. */
function tryPlan(
  image: Uint8Array,
  protocol: BootProtocol | "auto",
  options: BootOptions,
): BootPlan | undefined {
  try {
    return planBoot(image, "fuzz.bin64", protocol, options);
  } catch (error) {
    if (error instanceof ImageError) return undefined;
    throw error;
  }
}

/** Whether a segment repeats the bytes of one that begins before it. */
function sameBytes(first: Segment, second: Segment): boolean {
  const start = Number(second.gpa - first.gpa);
  const common = Math.min(first.bytes.length - start, second.bytes.length);
  return second.bytes.subarray(0, common)
    .every((byte, i) => byte === first.bytes[start + i]);
}

function assertSound({ segments, entry, protocol }: BootPlan, { ram }: BootOptions): void {
  const ascending = segments.toSorted((a, b) => a.gpa < b.gpa ? -1 : 1);
  let last: Segment | undefined;
  for (const segment of ascending) {
    const { name, gpa, bytes, sizeBytes } = segment;
    const areParts = [last?.name, name].every((each) => each?.startsWith("ELF program header"));
    const takenBytes = areParts ? last?.bytes.length : last?.sizeBytes;
    const isFree = gpa >= (last?.gpa ?? 0n) + BigInt(takenBytes ?? 0);
    assert(isFree || areParts && sameBytes(last!, segment), "only zeros of the image overlap");
    assert(bytes.length <= sizeBytes && isRam(ram, gpa, sizeBytes), "segments lie in RAM");
    last = segment;
  }
  const holds = (gpa: bigint, sizeBytes: number) =>
    segments.some((s) => gpa >= s.gpa && gpa + BigInt(sizeBytes) <= s.gpa + BigInt(s.sizeBytes));
  if (entry.gdt) assert(holds(entry.gdt.base, entry.gdt.limit + 1), "the GDT is there");
  if (entry.cr3 !== undefined) assert(holds(entry.cr3, 4096), "the page tables are there");
  if (!protocol.startsWith("flat")) assert(holds(entryAddress(entry), 1), "the entry is there");
  const stack = entry.mode === "real" ? BigInt(entry.selectors.data) << 4n : 0n;
  assert(isRam(ram, stack + entry.rsp - 1n, 1), "the stack is there");
}

for (const protocol of [...BOOT_PROTOCOLS, "auto"] as const) {
  Deno.test(`thousands of damaged images give sound plans or errors: ${protocol}`, () => {
    const random = new Random(0x5eed);
    const made = IMAGES.filter((image) => tryPlan(image, protocol, { ram: ramLayout(5 * GIB) }));
    let plans = 0;
    for (let i = 0; i < 4000; i++) {
      const image = mutate(random, random.of(random.below(2) ? made : IMAGES));
      const options = randomOptions(random, [64 * KIB, MIB, 4 * MIB, 5 * GIB]);
      const plan = tryPlan(image, protocol, options);
      if (!plan) continue;
      plans++;
      assertSound(plan, options);
    }
    assertGreater(plans, 100, "the damage leaves some images bootable");
    assertGreater(4000 - plans, 100, "and others not");
  });
}

/** A machine with unusual options. */
function randomMachine(random: Random, memoryBytes: number, plan: BootPlan): VirtualMachine {
  let described = 0;
  return new VirtualMachine({
    memoryBytes,
    type: random.of(["bare", "bare", "pc"]),
    singleStep: random.below(8) === 0,
    breakpoints: random.below(8) === 0 ? [plan.entry.rip, plan.entry.rip + 1n] : [],
    unclaimed: random.of(["ignore", "warn", "stop"]),
    maxExits: 1000,
    detailed: true,
    observer: observer((exit) => described += detailsText(exit).length),
  });
}

kvmTest("hundreds of damaged guests run and harm only themselves", () => {
  const random = new Random(0xbad);
  const kinds = new Set<string>();
  for (let guests = 0; guests < 400;) {
    const image = mutate(random, random.of(IMAGES));
    const options = randomOptions(random, [64 * KIB, 4 * MIB]);
    const plan = tryPlan(image, random.of([...BOOT_PROTOCOLS, "auto" as const]), options);
    if (!plan) continue;
    guests++;
    using machine = randomMachine(random, options.ram[0]!.sizeBytes, plan);
    machine.boot(plan);
    let outcome = machine.runFor(2);
    outcome ??= machine.runFor(1);
    kinds.add(outcome?.kind ?? "still running");
    if (!outcome) continue;
    assert(describeOutcome(outcome).length > 0);
    assert(exitCodeOf(outcome) >= 0);
  }
  assert(kinds.has("halt") && kinds.has("still running") && kinds.size > 4, [...kinds].join());
});
