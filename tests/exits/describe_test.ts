import { assert, assertEquals, assertFalse } from "@std/assert";
import { details, detailsJson, detailsText } from "../../src/exits/describe.ts";
import type { IoExit } from "../../src/exits/exit.ts";
import { SAMPLES } from "./samples.ts";

for (const { name, exit, text, json } of SAMPLES) {
  Deno.test(`an exit is described in text and in JSON: ${name}`, () => {
    assertEquals(detailsText(exit), text);
    assertEquals(detailsJson(exit), json);
  });
}

Deno.test("text is one line, JSON has each key once and survives being written", () => {
  for (const { name, exit } of SAMPLES) {
    assertFalse(/\p{Cc}/u.test(detailsText(exit)), name);
    const keys = details(exit).map(([key]) => key);
    assertEquals(new Set(keys).size, keys.length, name);
    assertEquals(JSON.parse(JSON.stringify(detailsJson(exit) ?? null)), detailsJson(exit) ?? null);
  }
});

function output(bytes: number[], size: IoExit["size"] = 1): string {
  const data = new Uint8Array(bytes);
  const count = bytes.length / size;
  const text = detailsText({
    reason: "IO",
    code: 2,
    direction: "out",
    port: 0x1234,
    size,
    count,
    data,
  });
  return text.replace(/^.* data=/, "");
}

Deno.test("one byte is a number, and a character where it has one", () => {
  assertEquals(output([0x41]), "0x41 'A'");
  assertEquals(output([0x20]), "0x20 ' '");
  assertEquals(output([0x7e]), "0x7e '~'");
  assertEquals(output([0x1f]), "0x1f");
  assertEquals(output([0x7f]), "0x7f");
  assertEquals(output([0x0a]), "0x0a");
});

Deno.test("a word is a number of full width", () => {
  assertEquals(output([0x41, 0x42], 2), "0x4241");
  assertEquals(output([1, 0, 0, 0], 4), "0x00000001");
});

Deno.test("a string of characters is quoted, any other is a list of numbers", () => {
  assertEquals(output([...new TextEncoder().encode('a "b"\n')]), String.raw`"a \"b\"\n"`);
  assertEquals(output([0x41, 0x00, 0x1b]), "[0x41 0x00 0x1b]");
  assertEquals(output([0x41, 0xff]), "[0x41 0xff]");
  assertEquals(output([0x41, 0x42, 0x43, 0x44], 2), "[0x4241 0x4443]");
});

Deno.test("an access without data is described all the same", () => {
  assertEquals(output([]), "0x");
  const exit = { reason: "MMIO", code: 6, direction: "read", gpa: 0n, size: 0 } as const;
  assert(detailsText({ ...exit, data: new Uint8Array() }).endsWith("data=0x"));
});
