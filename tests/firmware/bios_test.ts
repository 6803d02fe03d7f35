import { assertEquals } from "@std/assert";
import { biosCode, biosTables } from "../../src/firmware/bios.ts";
import type { FirmwareTable } from "../../src/firmware/firmware_table.ts";
import { pcMemoryMap } from "../../src/firmware/memory_map.ts";
import { missingTools } from "../../images/build.ts";
import { ramLayout } from "../../src/memory/ram.ts";
import { TempDir } from "../lib/vmexit.ts";

const missing = await missingTools();
const SOURCE = new URL("../../src/firmware/bios.S", import.meta.url).pathname;

async function run(tool: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(tool, { args }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

Deno.test({
  name: "the code is, byte for byte, what bios.S gives",
  ignore: missing !== undefined,
  async fn() {
    using folder = new TempDir();
    const [object, linked] = [`${folder.path}/bios.o`, `${folder.path}/bios.bin`];
    await run("as", "--32", "-mx86-used-note=no", "-o", object, SOURCE);
    await run("ld", "-m", "elf_i386", "-e0", "-Ttext=0", "--oformat=binary", "-o", linked, object);
    assertEquals(biosCode(), Deno.readFileSync(linked));
  },
});

/** The numbers behind the code: KiB, KiB, KiB, 64 KiB, entries. */
function numbersOf(memoryBytes: number): number[] {
  const tables = biosTables(pcMemoryMap(ramLayout(memoryBytes)));
  const { bytes } = tables.find(({ name }) => name === "BIOS")!;
  const view = new DataView(bytes.buffer);
  return Array.from({ length: 5 }, (_, i) => view.getUint16(biosCode().length + i * 2, true));
}

Deno.test("memory sizes are what the calls return: 15 MiB, then 64 KiB blocks, each with its limit", () => {
  const MIB = 2 ** 20;
  assertEquals(numbersOf(4 * MIB), [639, 3072, 3072, 0, 4]);
  assertEquals(numbersOf(128 * MIB), [639, 0xffff, 15 * 1024, 112 * 16, 4]);
  assertEquals(numbersOf(5 * 2 ** 30), [639, 0xffff, 15 * 1024, 0xbf00, 5]);
});

/** A table of a 4 MiB PC's BIOS, by its GPA. */
function tableAt(gpa: number): Uint8Array {
  const tables = biosTables(pcMemoryMap(ramLayout(4 << 20)));
  return tables.find((table) => table.gpa === gpa)!.bytes;
}

Deno.test("every vector leads to the BIOS, and services to their own handlers", () => {
  const bytes = tableAt(0);
  const view = new DataView(bytes.buffer);
  const vectors = Array.from({ length: 256 }, (_, i) => view.getUint32(i * 4, true));
  assertEquals(vectors.filter((vector) => vector >>> 16 === 0xfe00).length, 256);
  const handler = (vector: number) => (vectors[vector]! & 0xffff) / 4;
  assertEquals([0x40, 0xff].map(handler), [0, 0], "unknown");
  assertEquals([0x08, 0x09, 0x0a, 0x0f].map(handler), [3, 4, 5, 5], "the first PIC");
  assertEquals([0x70, 0x71, 0x77].map(handler), [14, 15, 15], "the second PIC");
  assertEquals([0x10, 0x12, 0x15, 0x16, 0x1a].map(handler), [6, 8, 10, 11, 13]);
});

Deno.test("without PICs, the vectors that they share with exceptions are exceptions", () => {
  const [{ bytes }] = biosTables(pcMemoryMap(ramLayout(4 << 20)), false) as [FirmwareTable];
  const view = new DataView(bytes.buffer);
  const handlers = [0x06, 0x08, 0x0c, 0x0d, 0x0f].map((i) => view.getUint16(i * 4, true) / 4);
  assertEquals(handlers, [2, 2, 2, 2, 2]);
  assertEquals(view.getUint16(0x10 * 4, true) / 4, 6);
});

Deno.test("the BIOS data area names the serial ports and where conventional memory ends", () => {
  const data = new DataView(tableAt(0).buffer, 0x400);
  assertEquals([0, 2, 4, 6].map((at) => data.getUint16(at, true)), [0x3f8, 0x2f8, 0x3e8, 0x2e8]);
  assertEquals(data.getUint16(0x10, true) >> 9 & 7, 4, "the number of serial ports");
  assertEquals(data.getUint16(0x13, true), 639);
  assertEquals(data.getUint16(0x0e, true), 0x9fc0, "the extended area begins there");
});

Deno.test("the reset vector jumps to the BIOS's reset, and names the model", () => {
  const bytes = tableAt(0xf_fff0);
  assertEquals([...bytes.subarray(0, 5)], [0xea, 12 * 4, 0, 0, 0xfe]);
  assertEquals([bytes.length, bytes[14]], [16, 0xfc]);
});

Deno.test("without RAM in the BIOS area there is no BIOS", () => {
  assertEquals(biosTables(pcMemoryMap([{ gpa: 0, sizeBytes: 0xf_f000 }])), []);
});
