import { assert, assertEquals, assertThrows } from "@std/assert";
import { ImageError } from "../../src/boot/image.ts";
import type { BootOptions, BootPlan } from "../../src/boot/plan.ts";
import { planPvh } from "../../src/boot/pvh.ts";
import { ramLayout } from "../../src/memory/ram.ts";
import { elf, HALT, note, PlannedMemory, refusalOf } from "../lib/images.ts";

const RAM: BootOptions = { ram: ramLayout(4 << 20) };

/** A kernel of one byte at 1 MiB whose note says where it is entered. */
function kernel(entry = 0x10_0000, bits: 32 | 64 = 32): Uint8Array {
  const address = new Uint8Array(new Uint32Array(bits === 64 ? [entry, 0] : [entry]).buffer);
  const notes = note("Xen", 18, address);
  return elf({ bits, segments: [{ bytes: HALT }, { bytes: notes, p_type: 4 }] });
}

function refusal(image: Uint8Array, options = RAM): string {
  return refusalOf(() => planPvh(image, options));
}

/** What a kernel finds behind EBX. */
class StartInfo {
  readonly memory: PlannedMemory;
  readonly at: bigint;

  constructor(plan: BootPlan) {
    this.memory = new PlannedMemory(plan);
    this.at = plan.entry.registers!.rbx!;
  }

  word(offset: number): number {
    return this.memory.u32(this.at + BigInt(offset));
  }

  quad(offset: number): bigint {
    return this.memory.u64(this.at + BigInt(offset));
  }
}

Deno.test("the kernel is entered in protected mode where its note says, with EBX at the start info", () => {
  for (const bits of [32, 64] as const) {
    const plan = planPvh(kernel(0x10_0000, bits), RAM);
    assertEquals([plan.protocol, plan.entry.mode, plan.entry.rip], [
      "pvh",
      "protected",
      0x10_0000n,
    ]);
    assertEquals(Object.keys(plan.entry.registers!), ["rbx"]);
    assertEquals(plan.description, `ELF${bits} kernel with a PVH entry`);
    const info = new StartInfo(plan);
    assertEquals([info.word(0), info.word(4), info.word(8)], [0x336e_c578, 1, 0]);
  }
});

Deno.test("what is no kernel with a PVH entry is refused", () => {
  assertEquals(refusal(HALT), "not an ELF file, so there is no PVH entry in it");
  assertEquals(
    refusal(elf()),
    "the ELF file has no note Xen 18 (PHYS32_ENTRY): it has no PVH entry",
  );
  assertEquals(
    refusal(kernel(0x10_0001)),
    "ELF note Xen 18: the PVH entry 0x100001 lies in no segment",
  );
  const far = note("Xen", 18, new Uint8Array([0, 0, 0, 0, 1, 0, 0, 0]));
  assertEquals(
    refusal(elf({ segments: [{ bytes: HALT }, { bytes: far, p_type: 4 }] })),
    "ELF note Xen 18: the PVH entry 0x100000000 is above 4 GiB",
  );
});

Deno.test("command line and ACPI root pointer are handed over", () => {
  const rsdp = { gpa: 0xe_0000n, bytes: new Uint8Array(36) };
  const info = new StartInfo(planPvh(kernel(), { ...RAM, commandLine: "a=1", rsdp }));
  assertEquals(info.memory.string(info.quad(24)), "a=1");
  assertEquals(info.quad(32), 0xe_0000n);
  assertEquals(new StartInfo(planPvh(kernel(), RAM)).quad(32), 0n);
});

Deno.test("the modules are listed, each with its name", () => {
  const none = new StartInfo(planPvh(kernel(), RAM));
  assertEquals([none.word(12), none.quad(16)], [0, 0n]);
  const modules = ["first", "second"].map((name) => ({ name, bytes: new Uint8Array(10) }));
  const info = new StartInfo(planPvh(kernel(), { ...RAM, modules }));
  assertEquals(info.word(12), 2);
  const list = [0n, 32n].map((offset) => {
    const at = info.quad(16) + offset;
    const [start, size, name, rest] = [0n, 8n, 16n, 24n].map((f) => info.memory.u64(at + f));
    return [start, size, info.memory.string(name!), rest];
  });
  assertEquals(list, [[0x10_1000n, 10n, "first", 0n], [0x10_2000n, 10n, "second", 0n]]);
});

Deno.test("the memory map has all tables and reserved ranges", () => {
  const reserved = [{ gpa: 0x20_0000, sizeBytes: 0x1000, type: 4 }];
  const low = elf({
    bits: 32,
    segments: [
      { bytes: HALT, p_paddr: 0x1000n, p_memsz: 0x6000n },
      { bytes: note("Xen", 18, new Uint8Array([0, 0x10, 0, 0])), p_type: 4 },
    ],
  });
  const plan = planPvh(low, { ...RAM, reserved });
  const info = new StartInfo(plan);
  const map = Array.from({ length: info.word(48) }, (_, i) => {
    const at = info.quad(40) + BigInt(i * 24);
    return [info.memory.u64(at), info.memory.u64(at + 8n), info.memory.u32(at + 16n)];
  });
  assertEquals(map.slice(-4), [
    [0x10_0000n, 0x10_0000n, 1],
    [0x20_0000n, 0x1000n, 4],
    [0x20_1000n, 0x1f_d000n, 1],
    [0x3f_e000n, 0x2000n, 2],
  ]);
  assert(info.at >= 0x3f_e000n && plan.entry.gdt!.base >= 0x3f_e000n);
});

Deno.test("a file that is cut short anywhere is refused", () => {
  const image = kernel();
  for (let length = 0; length < image.length; length++) {
    assertThrows(() => planPvh(image.subarray(0, length), RAM), ImageError);
  }
});
