import { assertEquals, assertThrows } from "@std/assert";
import {
  FW_CFG,
  type FwCfgContent,
  FwCfgError,
  fwCfgItems,
} from "../../src/firmware/fw_cfg_items.ts";

const CONTENT: FwCfgContent = {
  cpus: 3,
  memoryBytes: 5 * 2 ** 30,
  e820: Uint8Array.of(1, 2, 3),
  commandLine: "a=ü",
  files: [],
};
const file = (name: string): { name: string; bytes: Uint8Array } => ({
  name,
  bytes: new TextEncoder().encode(name),
});

Deno.test("the items tell of the machine, little-endian", () => {
  const items = fwCfgItems(CONTENT);
  const item = (key: keyof typeof FW_CFG): number[] => [...items.get(FW_CFG[key])!];
  assertEquals(item("SIGNATURE"), [81, 69, 77, 85]);
  assertEquals(item("ID"), [3, 0, 0, 0]);
  assertEquals(item("NB_CPUS"), [3, 0]);
  assertEquals(item("MAX_CPUS"), [3, 0]);
  assertEquals(item("RAM_SIZE"), [0, 0, 0, 0x40, 1, 0, 0, 0]);
  assertEquals(item("CMDLINE_SIZE"), [5, 0, 0, 0]);
  assertEquals(item("CMDLINE_DATA"), [97, 61, 0xc3, 0xbc, 0]);
  assertEquals(item("IRQ0_OVERRIDE"), [1, 0, 0, 0]);
});

Deno.test("the directory lists the files by name, big-endian, with their selectors", () => {
  const items = fwCfgItems({ ...CONTENT, files: [file("opt/z"), file("a")] });
  const view = new DataView(items.get(FW_CFG.FILE_DIR)!.buffer);
  assertEquals([view.byteLength, view.getUint32(0)], [4 + 3 * 64, 3]);
  for (const [i, name] of ["a", "etc/e820", "opt/z"].entries()) {
    const at = 4 + 64 * i;
    const text = new TextDecoder().decode(new Uint8Array(view.buffer, at + 8, 56));
    assertEquals(text, name.padEnd(56, "\0"));
    const bytes = items.get(view.getUint16(at + 4))!;
    assertEquals(view.getUint32(at), bytes.length);
    assertEquals([...bytes], name === "etc/e820" ? [1, 2, 3] : [...file(name).bytes]);
  }
});

Deno.test("files need plain names of at most 55 characters, each once", () => {
  fwCfgItems({ ...CONTENT, files: [file("x".repeat(55))] });
  for (const name of ["", "x".repeat(56), "a b", "ü", "a\0"]) {
    assertThrows(
      () => fwCfgItems({ ...CONTENT, files: [file(name)] }),
      FwCfgError,
      "not a file name",
    );
  }
  for (const files of [[file("a"), file("b"), file("a")], [file("etc/e820")]]) {
    assertThrows(() => fwCfgItems({ ...CONTENT, files }), FwCfgError, "given twice");
  }
});
