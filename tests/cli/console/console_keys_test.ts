import { assertEquals } from "@std/assert";
import { ConsoleKeys } from "../../../src/cli/console/console_keys.ts";

/** How pieces of input are split: the guest's part, and what was asked of vmexit. */
function type(...pieces: string[]): [forGuest: string, asked: string[]] {
  const asked: string[] = [];
  const keys = new ConsoleKeys({
    quit: () => asked.push("quit"),
    help: () => asked.push("help"),
  });
  const latin1 = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
  const forGuest = pieces.map((piece) => String.fromCharCode(...keys.feed(latin1(piece))));
  return [forGuest.join(""), asked];
}

for (
  const [name, pieces, forGuest, asked] of [
    [
      "everything else is the guest's",
      ["ab\x03\x04\x1a\x1c\x00\xff\r"],
      "ab\x03\x04\x1a\x1c\x00\xff\r",
      [],
    ],
    ["Ctrl-A x quits", ["a\x01xb"], "ab", ["quit"]],
    ["Ctrl-A c sends Ctrl-A", ["a\x01cb"], "a\x01b", []],
    ["Ctrl-A Ctrl-A sends it too, and only one", ["\x01\x01x"], "\x01x", []],
    ["Ctrl-A h asks for help", ["a\x01hb"], "ab", ["help"]],
    ["any other key behind Ctrl-A is dropped, with help", ["\x01Xb"], "b", ["help"]],
    ["Ctrl-A and its letter may come apart", ["a\x01", "", "x", "x"], "ax", ["quit"]],
    ["Ctrl-A at the end waits", ["a\x01"], "a", []],
  ] as const
) {
  Deno.test(`console keys: ${name}`, () => {
    assertEquals(type(...pieces), [forGuest, [...asked]]);
  });
}
