import { assertEquals } from "@std/assert";
import { biosCode, biosTables } from "../../src/firmware/bios.ts";
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

Deno.test("every vector leads to the BIOS, and services to their own places", () => {
  const tables = biosTables(pcMemoryMap(ramLayout(4 << 20)));
  const { bytes } = tables.find(({ gpa }) => gpa === 0)!;
  const view = new DataView(bytes.buffer);
  const vectors = Array.from({ length: 256 }, (_, i) => view.getUint32(i * 4, true));
  assertEquals(vectors.filter((vector) => vector >>> 16 === 0xe000).length, 256);
  assertEquals([0x10, 0x12, 0x15, 0x13].map((i) => vectors[i]! & 0xffff), [4, 8, 12, 0]);
  assertEquals(view.getUint16(0x413, true), 639);
});
