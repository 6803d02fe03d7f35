import { assert, assertEquals } from "@std/assert";
import { type FlatProtocol, planFlat } from "../../src/boot/flat.ts";
import type { BootOptions, BootPlan } from "../../src/boot/plan.ts";
import { ramLayout } from "../../src/memory/ram.ts";
import { CR0, CR4, EFER } from "../../src/x86/control_registers.ts";
import { walk } from "../../src/x86/page_tables.ts";
import { HALT, PlannedMemory, refusalOf } from "../lib/images.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const RAM: BootOptions = { ram: ramLayout(4 * MIB) };
const PROTOCOLS: readonly FlatProtocol[] = ["flat16", "flat32", "flat64"];

function refusal(protocol: FlatProtocol, options: Partial<BootOptions>, image = HALT): string {
  return refusalOf(() => planFlat(image, protocol, { ...RAM, ...options }));
}

Deno.test("each form has its load address, entry and stack", () => {
  const entries = PROTOCOLS.map((protocol) => {
    const { segments: [image], entry } = planFlat(HALT, protocol, RAM);
    return [protocol, entry.mode, image!.gpa, entry.rip, entry.rsp, entry.registers?.rdx];
  });
  assertEquals(entries, [
    ["flat16", "real", 0x7c00n, 0x7c00n, 0x7c00n, 0x80n],
    ["flat32", "protected", 0x10_0000n, 0x10_0000n, 0x10_0000n, undefined],
    ["flat64", "long", 0x10_0000n, 0x10_0000n, 0x10_0000n, undefined],
  ]);
});

Deno.test("the load address moves the entry, the entry moves alone", () => {
  for (const protocol of PROTOCOLS) {
    const loaded = planFlat(HALT, protocol, { ...RAM, loadAddress: 0x8000n });
    assertEquals([loaded.segments[0]!.gpa, loaded.entry.rip], [0x8000n, 0x8000n]);
    const both = planFlat(HALT, protocol, { ...RAM, loadAddress: 0x8000n, entry: 0x8010n });
    assertEquals([both.segments[0]!.gpa, both.entry.rip], [0x8000n, 0x8010n]);
    const entered = planFlat(HALT, protocol, { ...RAM, entry: 0n });
    assertEquals(entered.entry.rip, 0n);
  }
});

Deno.test("an entry that the mode cannot reach is refused", () => {
  const message = (rip: string, text: string, end: string) =>
    `entry ${rip} is out of reach of ${text}, which ends at ${end} [entry]`;
  assertEquals(
    refusal("flat16", { loadAddress: 0x1_0000n }),
    message("0x10000", "16-bit real mode", "0x10000"),
  );
  assertEquals(
    refusal("flat32", { entry: 1n << 32n }),
    message("0x100000000", "32-bit protected mode", "0x100000000"),
  );
  assertEquals(
    refusal("flat64", { entry: 1n << 47n }),
    message("0x800000000000", "64-bit long mode", "0x800000000000"),
  );
  planFlat(HALT, "flat16", { ...RAM, loadAddress: 0x1_0000n, entry: 0xffffn });
});

Deno.test("an empty image, or one outside RAM, is refused", () => {
  for (const protocol of PROTOCOLS) {
    assertEquals(refusal(protocol, {}, new Uint8Array()), "the image is empty");
    const top = (1n << 64n) - 1n;
    const remedies: [bigint, string][] = [
      [0x40_0000n, " [memory]"],
      [
        0xc000_0000n,
        ", and 0xc0000000..0x100000000 never is, which is for devices: " +
        "link or load the image elsewhere",
      ],
      [top, ", which never reaches beyond 0x10040000000: link or load the image elsewhere"],
    ];
    for (const [loadAddress, remedy] of remedies) {
      assertEquals(
        refusal(protocol, { loadAddress, entry: 0n }),
        `image at [0x${loadAddress.toString(16)}, +0x1) is not within guest RAM ` +
          `(0x0..0x400000)${remedy}`,
      );
    }
  }
  assertEquals(
    refusal("flat16", {}, new Uint8Array(4 * MIB)),
    "image at [0x7c00, +0x400000) is not within guest RAM (0x0..0x400000) [memory]",
  );
});

Deno.test("real mode needs no tables", () => {
  const plan = planFlat(HALT, "flat16", RAM);
  assertEquals(plan.segments.length, 1);
  assertEquals([plan.entry.gdt, plan.entry.cr3], [undefined, undefined]);
});

Deno.test("the GDT has flat code and data at the selectors that are loaded", () => {
  const code32 = 0x00cf_9b00_0000_ffffn;
  const code64 = 0x00af_9b00_0000_ffffn;
  const data = 0x00cf_9300_0000_ffffn;
  for (const [protocol, code] of [["flat32", code32], ["flat64", code64]] as const) {
    const plan = planFlat(HALT, protocol, RAM);
    assertEquals(new PlannedMemory(plan).gdt(), [0n, code, data], protocol);
  }
});

/** Walks the plan's page tables to an address. */
function translate(plan: BootPlan, gva: bigint): ReturnType<typeof walk> {
  const memory = new PlannedMemory(plan);
  const registers = {
    cr0: CR0.PE | CR0.PG,
    cr3: plan.entry.cr3!,
    cr4: CR4.PAE,
    efer: EFER.LME | EFER.LMA,
  };
  return walk((gpa) => memory.u64(gpa), registers, gva);
}

function assertIdentity(plan: BootPlan, gva: bigint): void {
  const result = translate(plan, gva);
  assert(result.mapped, `0x${gva.toString(16)} is mapped`);
  assertEquals(
    [result.gpa, result.pageSize, result.writable, result.user, result.nx],
    [gva, 0x20_0000n, true, true, false],
  );
}

Deno.test("long mode sees at least 4 GiB, each address as itself, writable and user-accessible", () => {
  const plan = planFlat(HALT, "flat64", RAM);
  for (let gva = 0n; gva < 1n << 32n; gva += 0x20_0000n) assertIdentity(plan, gva);
  assertIdentity(plan, 0xffff_ffffn);
  assertEquals(translate(plan, 1n << 32n).mapped, false);
});

Deno.test("long mode sees all RAM of large guests, to the last byte", () => {
  for (const gib of [3, 4, 5, 64, 1000]) {
    const ram = ramLayout(gib * GIB);
    const plan = planFlat(HALT, "flat64", { ram });
    for (const range of ram) {
      assertIdentity(plan, BigInt(range.gpa));
      assertIdentity(plan, BigInt(range.gpa) + BigInt(range.sizeBytes) - 1n);
    }
  }
});

Deno.test("tables are below 0x7000 where they fit, else at the end of RAM below 4 GiB", () => {
  const small = planFlat(HALT, "flat64", RAM);
  assertEquals([small.entry.cr3, small.entry.gdt!.base], [0x1000n, 0x3f_f000n]);
  const large = planFlat(HALT, "flat64", { ram: ramLayout(5 * GIB) });
  assertEquals([large.entry.cr3, large.entry.gdt!.base], [0xc000_0000n - 8n * 4096n, 0x1000n]);
  assertEquals(planFlat(HALT, "flat32", RAM).entry.gdt!.base, 0x1000n);
});

Deno.test("tables stay clear of the image, wherever it is loaded", () => {
  const size = 0x1_0000;
  for (const loadAddress of [0n, 0x1000n, 0x3000n, 0x3f_0000n, 0x3e_f000n, 0x10_0000n]) {
    const image = new Uint8Array(size);
    const { segments } = planFlat(image, "flat64", { ...RAM, loadAddress });
    const tables = segments.slice(1);
    assertEquals(tables.length, 7);
    for (const { gpa, sizeBytes } of tables) {
      const apart = gpa >= loadAddress + BigInt(size) || gpa + BigInt(sizeBytes) <= loadAddress;
      assert(apart, `0x${gpa.toString(16)} with the image at 0x${loadAddress.toString(16)}`);
    }
  }
});

Deno.test("the stack ends where RAM does in a guest of less than 1 MiB", () => {
  const plan = planFlat(HALT, "flat32", { ram: ramLayout(0x8000), loadAddress: 0x7000n });
  assertEquals(plan.entry.rsp, 0x8000n);
});

Deno.test("a guest that is too small for the tables is refused", () => {
  const message = refusal("flat64", { ram: ramLayout(0x6000), loadAddress: 0x1000n });
  assertEquals(
    message,
    "no room in guest RAM for page tables (0x6000 bytes) [memory]",
  );
});

Deno.test("options without a meaning for a flat image are named", () => {
  const options = { ...RAM, commandLine: "x", modules: [{ name: "m", bytes: HALT }] };
  assertEquals(planFlat(HALT, "flat16", options).unused, [
    "commandLine",
    "modules",
  ]);
  assertEquals(planFlat(HALT, "flat64", { ...RAM, entry: 0n, loadAddress: 0n }).unused, []);
});
