import { assert, assertEquals, assertGreater } from "@std/assert";
import { decode, layout } from "../../ffi/layout.ts";
import { acpiTables } from "../../src/firmware/acpi_tables.ts";
import { device, eisaId, name, packageOf, resources } from "../../src/firmware/aml.ts";
import { checksum, type FirmwareTable } from "../../src/firmware/firmware_table.ts";
import { firmwareTables } from "../../src/firmware/tables.ts";
import { mpTable } from "../../src/firmware/mp_table.ts";

const AREA = { start: 0xf_0000, end: 0x10_0000 };
const RAM = [{ gpa: 0, sizeBytes: 1 << 24 }];
const inBiosArea = (cpus: number): FirmwareTable[] => firmwareTables(RAM, cpus);
const sum = (bytes: Uint8Array): number => bytes.reduce((total, byte) => (total + byte) & 0xff, 0);
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const view = ({ bytes }: FirmwareTable): DataView => new DataView(bytes.buffer, bytes.byteOffset);

function tables(cpus: number): Map<string, FirmwareTable> {
  return new Map(inBiosArea(cpus).map((table) => [table.name, table]));
}

for (const cpus of [1, 2, 255, 256, 1024]) {
  Deno.test(`the tables for ${cpus} vCPUs fit in the BIOS area, one after the other`, () => {
    let end = AREA.start;
    for (const { gpa, bytes } of inBiosArea(cpus)) {
      assert(gpa >= end);
      end = gpa + bytes.length;
    }
    assert(end <= AREA.end);
  });

  Deno.test(`every checksum of the tables for ${cpus} vCPUs is 0`, () => {
    for (const { name, bytes } of inBiosArea(cpus)) {
      if (name !== "FACS") assertEquals(sum(bytes), 0, name);
    }
    const rsdp = tables(cpus).get("RSDP")!;
    assertEquals(sum(rsdp.bytes.subarray(0, 20)), 0, "the part that ACPI 1 knows");
  });
}

Deno.test("without RAM in the BIOS area there are no tables", () => {
  assertEquals(firmwareTables([{ gpa: 0, sizeBytes: 0xf_8000 }], 1), []);
});

Deno.test("RSDP, RSDT, XSDT and FADT point to existing tables", () => {
  const all = tables(2);
  const at = (name: string): number => all.get(name)!.gpa;
  const rsdp = view(all.get("RSDP")!);
  assertEquals(text(all.get("RSDP")!.bytes.subarray(0, 8)), "RSD PTR ");
  assertEquals([rsdp.getUint32(16, true), Number(rsdp.getBigUint64(24, true))], [
    at("RSDT"),
    at("XSDT"),
  ]);
  const rsdt = view(all.get("RSDT")!);
  assertEquals([rsdt.getUint32(36, true), rsdt.getUint32(40, true)], [at("FACP"), at("APIC")]);
  const xsdt = view(all.get("XSDT")!);
  assertEquals([36, 44].map((o) => Number(xsdt.getBigUint64(o, true))), [at("FACP"), at("APIC")]);
  const fadt = view(all.get("FACP")!);
  assertEquals([fadt.getUint32(36, true), fadt.getUint32(40, true)], [at("FACS"), at("DSDT")]);
  assertEquals(Number(fadt.getBigUint64(140, true)), at("DSDT"));
  assertEquals(at("FACS") % 64, 0);
  for (const { name, bytes } of all.values()) {
    if (!["RSDP", "_MP_", "PCMP"].includes(name)) {
      assertEquals(text(bytes.subarray(0, 4)), name);
      assertEquals(view(all.get(name)!).getUint32(4, true), bytes.length, name);
    }
  }
});

Deno.test("the FADT locates the registers", () => {
  const fadt = view(tables(1).get("FACP")!);
  assertEquals([56, 64, 76].map((at) => fadt.getUint32(at, true)), [0x600, 0x604, 0x608]);
  assertEquals([88, 89, 91].map((at) => fadt.getUint8(at)), [4, 2, 4]);
  assertEquals([fadt.getUint16(46, true), fadt.getUint32(48, true)], [9, 0], "SCI, no SMI");
  assert(fadt.getUint16(96, true) > 100 && fadt.getUint16(98, true) > 1000, "no C2, no C3");
  const reset = decode(
    layout("gas", 12, { space: [0, "u8"], bits: [1, "u8"], address: [4, "u64"] }),
    tables(1).get("FACP")!.bytes as Uint8Array<ArrayBuffer>,
    116,
  );
  assertEquals(reset, { space: 1, bits: 8, address: 0xcf9n });
  assertEquals([fadt.getUint8(128), (fadt.getUint32(112, true) >> 10) & 1], [6, 1]);
});

/** The entries of a MADT: type and bytes. */
function madtEntries(table: FirmwareTable): [type: number, bytes: Uint8Array][] {
  const entries: [number, Uint8Array][] = [];
  for (let at = 44; at < table.bytes.length; at += table.bytes[at + 1]!) {
    entries.push([table.bytes[at]!, table.bytes.subarray(at + 2, at + table.bytes[at + 1]!)]);
  }
  return entries;
}

Deno.test("the MADT lists processors, I/O APIC, overrides and the NMI input", () => {
  assertEquals(madtEntries(tables(2).get("APIC")!).map(([type, bytes]) => [type, [...bytes]]), [
    [0, [0, 0, 1, 0, 0, 0]],
    [0, [1, 1, 1, 0, 0, 0]],
    [1, [0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]],
    [2, [0, 0, 2, 0, 0, 0, 0, 0]],
    [2, [0, 9, 9, 0, 0, 0, 0x0d, 0]],
    [4, [0xff, 0, 0, 1]],
  ]);
});

Deno.test("processors from APIC id 255 up have x2APIC entries", () => {
  const entries = madtEntries(tables(257).get("APIC")!);
  const count = (type: number): number => entries.filter(([t]) => t === type).length;
  assertEquals([count(0), count(9), count(10)], [255, 2, 1]);
  const [, last] = entries.findLast(([type]) => type === 9)!;
  assertEquals([...last], [0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0]);
});

Deno.test("the MP table lists processors, the bus, the I/O APIC and all interrupts", () => {
  const [pointer, table] = mpTable(0xf8000, 2);
  assertEquals(text(pointer!.bytes.subarray(0, 4)), "_MP_");
  assertEquals(view(pointer!).getUint32(4, true), table!.gpa);
  const bytes = table!.bytes;
  assertEquals(text(bytes.subarray(0, 4)), "PCMP");
  assertEquals(view(table!).getUint16(4, true), bytes.length);
  const entries: Uint8Array[] = [];
  for (let at = 44; at < bytes.length;) {
    const end = at + (bytes[at] === 0 ? 20 : 8);
    entries.push(bytes.subarray(at, end));
    at = end;
  }
  assertEquals(view(table!).getUint16(34, true), entries.length);
  const ofType = (type: number): number[][] =>
    entries.filter((entry) => entry[0] === type).map((entry) => [...entry]);
  assertEquals(ofType(0).map(([, id, , flags]) => [id, flags]), [[0, 3], [1, 1]]);
  assertEquals(ofType(1), [[1, 0, ...new TextEncoder().encode("ISA   ")]]);
  assertEquals(ofType(2), [[2, 0, 0x11, 1, 0, 0, 0xc0, 0xfe]]);
  const wires = ofType(3).map((entry) => [entry[5], entry[7]]);
  assertEquals(wires[0], [0, 2], "the timer");
  assertEquals(
    wires.slice(1),
    [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15].map((irq) => [irq, irq]),
  );
  assertEquals(ofType(3).filter(([, , flags]) => flags).map((e) => [e[5], e[2]]), [[9, 0x0d]]);
  assertEquals(ofType(4), [[4, 3, 0, 0, 0, 0, 0xff, 0], [4, 1, 0, 0, 0, 0, 0xff, 1]]);
});

Deno.test("a checksum makes the sum 0, even of bytes that sum to 0 already", () => {
  for (const bytes of [[], [0], [1], [0xff, 0xff], [0x80, 0x80]]) {
    const before = Uint8Array.from(bytes);
    assertEquals(sum(Uint8Array.of(...before, checksum(before))), 0);
  }
});

Deno.test("AML terms are encoded as the specification says", () => {
  assertEquals([...eisaId("PNP0501")], [0x0c, 0x41, 0xd0, 0x05, 0x01]);
  const sleep = name("_S5_", packageOf([0], [0x0a, 5]));
  assertEquals([...sleep], [0x08, 0x5f, 0x53, 0x35, 0x5f, 0x12, 0x05, 0x02, 0x00, 0x0a, 0x05]);
  assertEquals([...resources()], [0x11, 0x05, 0x0a, 0x02, 0x79, 0x00]);
});

Deno.test("AML lengths take one byte below 64, and two above", () => {
  assertEquals(device("ABCD", Array(58).fill(0)).slice(0, 3), [0x5b, 0x82, 63]);
  assertEquals(device("ABCD", Array(59).fill(0)).slice(0, 4), [0x5b, 0x82, 0x41, 0x04]);
  assertEquals(device("ABCD", Array(300).fill(0)).slice(0, 4), [0x5b, 0x82, 0x42, 0x13]);
});

async function iaslVersion(): Promise<string | undefined> {
  try {
    await new Deno.Command("iasl", { args: ["-v"], stdout: "null", stderr: "null" }).output();
    return "present";
  } catch {
    return undefined;
  }
}
const iasl = await iaslVersion();

Deno.test({
  name: "ACPICA's compiler reads the tables without complaint" +
    (iasl ? "" : " (ignored: iasl is not installed)"),
  ignore: !iasl,
  fn: async () => {
    const directory = await Deno.makeTempDir({ prefix: "vmexit-" });
    try {
      for (const table of acpiTables(0xf0000, 300)) {
        if (table.name === "RSDP") continue;
        const path = `${directory}/${table.name}`;
        await Deno.writeFile(`${path}.aml`, table.bytes);
        const { success, stderr, stdout } = await new Deno.Command("iasl", {
          args: ["-d", `${path}.aml`],
        }).output();
        const said = text(stdout) + text(stderr);
        assert(success && !/error|warning|invalid/i.test(said), said);
        const source = await Deno.readTextFile(`${path}.dsl`);
        assertGreater(source.length, 0);
        assert(!/invalid|unknown|error/i.test(source), source);
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
