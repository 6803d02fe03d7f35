import { assertEquals } from "@std/assert";
import { consoleLines, consoleText, lineAt } from "../../src/report/page/console_lines.ts";
import {
  accessText,
  addressText,
  bytesText,
  countText,
  dataText,
  durationText,
  tickText,
} from "../../src/report/page/format.ts";
import { mmio, out, traceOf } from "./trace_lines.ts";

const plain = (text: string): string => text.replaceAll("\u2009", " ");

Deno.test("durations are in the unit that suits them", () => {
  const texts = [0, 1, 123, 12_345, 99_999, 123_456_789].map((tenths) => durationText(tenths));
  assertEquals(texts, ["0 µs", "0.1 µs", "12.3 µs", "1.23 ms", "10 ms", "12.3 s"]);
});

Deno.test("the ticks of an axis have different labels", () => {
  assertEquals(tickText(1_000_500, 100), "100.05 ms");
  assertEquals(tickText(50_000_000, 50_000_000), "5 s");
  assertEquals(tickText(10, 10), "1 µs");
});

Deno.test("counts and sizes are for people", () => {
  assertEquals([7, 1234, 1_000_001].map(countText).map(plain), ["7", "1 234", "1 000 001"]);
  assertEquals([1n, 4096n, 5n << 30n].map(bytesText), ["1 B", "4 KiB", "5 GiB"]);
});

Deno.test("an exit says what it accessed and how", async () => {
  const { rows } = await traceOf(out(1, 1, 0x3f8, "4869"), mmio(2, 2, "0xfee00000"));
  assertEquals([0, 1].map((row) => addressText(rows, row)), ["0x3f8 COM1", "0xfee00000"]);
  assertEquals([0, 1].map((row) => accessText(rows, row)), ["out 1×2", "read 4"]);
  assertEquals([0, 1].map((row) => dataText(rows, row)), ["48 69 'Hi'", "ff ff ff ff"]);
});

Deno.test("of much data the table shows the beginning", async () => {
  const { rows } = await traceOf(out(1, 1, 0x80, "00".repeat(4096), ""));
  assertEquals(dataText(rows, 0), "00 ".repeat(16) + "…");
});

Deno.test("console lines of several devices are kept apart", async () => {
  const { console } = await traceOf(
    out(1, 1, 0x3f8, "61"),
    out(2, 2, 0xe9, "78", "debugcon"),
    out(3, 3, 0x3f8, "620a"),
    out(4, 4, 0x3f8, "63"),
  );
  const lines = consoleLines(console).map(({ places, device }) => [
    console.devices[device],
    consoleText(Uint8Array.from(places, (place) => console.bytes[place]!)),
  ]);
  assertEquals(lines, [["uart0", "ab"], ["debugcon", "x"], ["uart0", "c"]]);
});

Deno.test("the line of a moment is the last that has begun", async () => {
  const { console } = await traceOf(
    ...["610a", "620a", "630a"].map((data, i) => out(i + 1, i, 0x3f8, data)),
  );
  const lines = consoleLines(console);
  assertEquals([-1, 0, 1, 2, 9].map((row) => lineAt(console, lines, row)), [-1, 0, 1, 2, 2]);
});

Deno.test("console text is UTF-8 without terminal sequences, control characters shown", () => {
  const text = (string: string) => consoleText(new TextEncoder().encode(string));
  assertEquals(text("\x1b[1;31mgrün\x1b[0m\r\n"), "grün");
  assertEquals(text("a\tb\x07\x7f\x1b"), "a    b␇␡␛");
  assertEquals(consoleText(new Uint8Array([0xff, 0x41])), "\ufffdA");
});
