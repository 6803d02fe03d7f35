/**
 * What this project relies on in `@std/cli/parse-args`. The tests pass on the real package and on
 * its stand-in alike, whichever of them the mapping in use names.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { parseArgs } from "@std/cli/parse-args";

Deno.test("an argument that is not an option goes to _", () => {
  assertEquals(parseArgs(["run", "-", "hello.elf", ""]), { _: ["run", "-", "hello.elf", ""] });
});

Deno.test("an option takes its value after = or from the next argument", () => {
  assertEquals(parseArgs(["--a=x", "--b", "y"]), { _: [], a: "x", b: "y" });
});

Deno.test("an option without a value is true, and one that is a string is empty text", () => {
  const args: unknown = parseArgs(["--a", "--b", "--c"], { string: ["a", "c"] });
  assertEquals(args, { _: [], a: "", b: true, c: "" });
});

Deno.test("only the first = parts a name from its value, which may have several lines", () => {
  const args: unknown = parseArgs(["--append=root=/dev/vda", "--text=one\ntwo"]);
  assertEquals(args, { _: [], append: "root=/dev/vda", text: "one\ntwo" });
});

Deno.test("a string option, and a string _, keep text that reads as a number", () => {
  const args: unknown = parseArgs(["--a=0x10", "--b", "5", "007"], { string: ["a", "b", "_"] });
  assertEquals(args, { _: ["007"], a: "0x10", b: "5" });
});

Deno.test("text that starts with a dash, or is empty, is not the value of the option before it", () => {
  const args: unknown = parseArgs(["--a", "--b", "-", "--c", ""], { string: ["a", "b", "c"] });
  assertEquals(args, { _: ["-", ""], a: "", b: "", c: "" });
});

Deno.test("a boolean takes no value and is false when absent", () => {
  const args: unknown = parseArgs(["--quiet", "img"], { boolean: ["quiet", "help"] });
  assertEquals(args, { _: ["img"], quiet: true, help: false });
});

Deno.test("of an option that comes twice, the last value counts", () => {
  assertEquals(parseArgs(["--a=x", "--a=y"]), { _: [], a: "y" });
});

Deno.test("a collected option gives all its values, and none as an empty array", () => {
  const hole = (...args: string[]): unknown =>
    (parseArgs(args, { string: ["hole"], collect: ["hole"] }) as Record<string, unknown>).hole;
  assertEquals(hole("--hole=1", "--hole", "2"), ["1", "2"]);
  assertEquals(hole("--hole=1"), ["1"]);
  assertEquals(hole(), []);
});

Deno.test("a default is the value of an absent option", () => {
  const options = { string: ["filter"], default: { filter: "all" } } as const;
  assertEquals(parseArgs([], options).filter, "all");
  assertEquals(parseArgs(["--filter="], options).filter, "");
});

Deno.test("what follows -- is not an option", () => {
  assertEquals(parseArgs(["a", "--", "--b", "--"]), { _: ["a", "--b", "--"] });
});

Deno.test("unknown is called with each undeclared argument before --, which false drops", () => {
  const told: unknown[] = [];
  const args: unknown = parseArgs(["--a", "x", "--b=y", "-c", "--d", "--", "--e", "z"], {
    string: ["a"],
    boolean: ["d"],
    unknown: (arg, key, value) => {
      told.push([arg, key, value]);
      return false;
    },
  });
  assertEquals(told, [["--b=y", "b", "y"], ["-c", "c", true]]);
  assertEquals(args, { _: ["--e", "z"], a: "x", d: true });
  const operands: unknown[] = [];
  parseArgs(["img"], { unknown: (arg, key) => operands.push([arg, key]) });
  assertEquals(operands, [["img", undefined]]);
});

Deno.test("the result is typed by the declared options", () => {
  const args = parseArgs(["--seed", "1"], {
    string: ["filter", "seed"],
    default: { filter: "" },
  });
  const filter: string = args.filter;
  const seed: string | undefined = args.seed;
  const operands: Array<string | number> = args._;
  // @ts-expect-error: an option that may be absent may be undefined
  const present: string = args.seed;
  assertEquals([filter, seed, operands, present], ["", "1", [], "1"]);
});
