import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../../src/cli/options/usage_error.ts";
import {
  parseAddress,
  parseChoice,
  parseCount,
  parseDuration,
  parseSize,
} from "../../../src/cli/options/values.ts";

Deno.test("sizes have suffixes of powers of 1024, in any case", () => {
  for (
    const [text, bytes] of [
      ["0", 0],
      ["4096", 4096],
      ["0x1000", 4096],
      ["64K", 65536],
      ["64k", 65536],
      ["64KiB", 65536],
      ["1MB", 1 << 20],
      ["5G", 5 * 2 ** 30],
      ["0x10G", 16 * 2 ** 30],
      ["1T", 2 ** 40],
    ] as const
  ) assertEquals(parseSize("--memory", text), bytes, text);
});

Deno.test("what is not a size, or is too large for a number, is refused", () => {
  for (const text of ["", "M", "1.5G", "-1", "1 M", "1MM", "0x", "1P", "9007199254740992", "∞"]) {
    assertThrows(
      () => parseSize("--memory", text),
      UsageError,
      `--memory: "${text}" is not a size`,
    );
  }
});

Deno.test("durations have a unit", () => {
  assertEquals(parseDuration("--timeout", "500ms"), 500);
  assertEquals(parseDuration("--timeout", "1.5s"), 1500);
  assertEquals(parseDuration("--timeout", "2m"), 120_000);
  assertEquals(parseDuration("--timeout", "1h"), 3_600_000);
  for (const text of ["", "5", "s", "0s", "-1s", "5 s", "1d", "1e3s"]) {
    assertThrows(() => parseDuration("--timeout", text), UsageError, "is not a duration");
  }
});

Deno.test("addresses have 64 bits", () => {
  assertEquals(parseAddress("--entry", "0xFFFFffffFFFFffff"), 2n ** 64n - 1n);
  assertEquals(parseAddress("--entry", "4096"), 4096n);
  for (const text of ["", "0x", "1000h", "-1", "0x10000000000000000", "1_0"]) {
    assertThrows(() => parseAddress("--entry", text), UsageError, "is not an address");
  }
});

Deno.test("counts begin at 1", () => {
  assertEquals(parseCount("--max-exits", "1"), 1);
  for (const text of ["", "0", "-1", "1.5", "0x10", "99999999999999999999"]) {
    assertThrows(() => parseCount("--max-exits", text), UsageError, "is not a count");
  }
});

Deno.test("a choice is one of the words, and a slip knows them", () => {
  assertEquals(parseChoice("--format", "json", ["text", "json"]), "json");
  const error = assertThrows(() => parseChoice("--format", "JSON", ["text", "json"]), UsageError);
  assertEquals([error.given, error.choices], ["JSON", ["text", "json"]]);
});
