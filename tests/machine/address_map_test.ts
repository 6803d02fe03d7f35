import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { MmioBus, PortBus } from "../../src/devices/bus.ts";
import { portName } from "../../src/exits/port_names.ts";
import { ADDRESS_MAP, addressMapMarkdown, plugIn } from "../../src/machine/address_map.ts";

const DOCUMENT = Deno.readTextFileSync(new URL("../../docs/pc.md", import.meta.url));
/** A table's cells, however they are padded. */
const cells = (markdown: string): string => markdown.replace(/ +\|/g, " |").replace(/-+/g, "-");
const device = (name: string) => ({
  name,
  accessBytes: 1,
  read: () => 0,
  write: () => {},
} as const);

Deno.test("the document has the table as it is", () => {
  assertStringIncludes(cells(DOCUMENT), cells(addressMapMarkdown()));
});

Deno.test("rows ascend, do not overlap, and name their source", () => {
  let [space, end] = ["port", 0];
  for (const row of ADDRESS_MAP) {
    if (row.space !== space) [space, end] = [row.space, 0];
    assert(row.start >= end, row.description);
    end = row.start + row.size;
    assert(row.source !== "" && row.description !== "");
  }
});

Deno.test("every port of the map has a name in the trace", () => {
  for (const { space, start, size } of ADDRESS_MAP) {
    if (space === "gpa") continue;
    for (let port = start; port < start + size; port++) {
      assert(portName(port), `port 0x${port.toString(16)}`);
    }
  }
});

Deno.test("devices are plugged in where the map says", () => {
  const [ports, mmio] = [new PortBus(), new MmioBus()];
  const [uart, iomem] = [device("uart0"), device("iomem")];
  plugIn(new Map([["uart0", uart], ["testdev-iomem", iomem]]), ports, mmio);
  assertEquals([ports.deviceAt(0x3f8), ports.deviceAt(0x3ff)], [uart, uart]);
  assertEquals(ports.deviceAt(0x2f8), undefined);
  assertEquals(mmio.deviceAt(0xff00_ffff), iomem);
  assertThrows(
    () => plugIn(new Map([["other", uart]]), ports, mmio),
    RangeError,
    "other is not in",
  );
});
