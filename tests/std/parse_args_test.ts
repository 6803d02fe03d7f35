/**
 * What this project relies on in `@std/cli/parse-args`. The tests pass on the real package and on
 * its stand-in alike, whichever of them the mapping in use names.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { parseArgs } from "@std/cli/parse-args";

Deno.test("an argument that is no option goes to _", () => {
  assertEquals(parseArgs(["run", "hello.elf"]), { _: ["run", "hello.elf"] });
});

Deno.test("a lone dash and empty text are no options", () => {
  assertEquals(parseArgs(["-", ""]), { _: ["-", ""] });
});

Deno.test("an option takes its value after = or from the next argument", () => {
  assertEquals(parseArgs(["--a=x", "--b", "y", "-c", "z"]), { _: [], a: "x", b: "y", c: "z" });
});

Deno.test("an option without a value is true", () => {
  assertEquals(parseArgs(["--a", "--b", "-c"]), { _: [], a: true, b: true, c: true });
});

Deno.test("a string option without a value is empty text", () => {
  assertEquals(parseArgs(["--a", "-b"], { string: ["a", "b"] }), { _: [], a: "", b: "" });
});

Deno.test("only the first = parts a name from its value", () => {
  assertEquals(parseArgs(["--append=root=/dev/vda", "-a=b=c"]), {
    _: [],
    append: "root=/dev/vda",
    a: "b=c",
  });
});

Deno.test("an empty value after = is empty text", () => {
  assertEquals(parseArgs(["--a=", "-b="]), { _: [], a: "", b: "" });
});

Deno.test("a value may have several lines", () => {
  assertEquals(parseArgs(["--a=one\ntwo"]), { _: [], a: "one\ntwo" });
});

Deno.test("text that reads as a number is one, in values and in _", () => {
  const args = ["--a=5", "--b", "0x10", "--c=1e3", "--d=-1.5", "--e=0b11", "7", "0x1g", " "];
  assertEquals(parseArgs(args), { _: [7, "0x1g", " "], a: 5, b: 16, c: 1000, d: -1.5, e: 3 });
});

Deno.test("a string option keeps text that reads as a number", () => {
  assertEquals(parseArgs(["--a=0x10", "--b", "5"], { string: ["a", "b"] }), {
    _: [],
    a: "0x10",
    b: "5",
  });
});

Deno.test("naming _ a string keeps numbers in it as text", () => {
  const args: unknown = parseArgs(["007", "8"], { string: ["_"] });
  assertEquals(args, { _: ["007", "8"] });
});

Deno.test("what starts with a dash is no value of the option before it", () => {
  assertEquals(parseArgs(["--a", "-5", "--b", "-c"]), {
    _: [],
    a: true,
    5: true,
    b: true,
    c: true,
  });
});

Deno.test("a lone dash is the value of a short option, not of a long one", () => {
  assertEquals(parseArgs(["-i", "-", "--initrd", "-"]), { _: ["-"], i: "-", initrd: true });
});

Deno.test("an empty argument is no value of the option before it", () => {
  assertEquals(parseArgs(["--append", ""], { string: ["append"] }), { _: [""], append: "" });
});

Deno.test("letters after one dash are options, and the last may take a value", () => {
  assertEquals(parseArgs(["-abc", "x"]), { _: [], a: true, b: true, c: "x" });
});

Deno.test("a number that ends a group of letters is the value of the letter before it", () => {
  assertEquals(parseArgs(["-n5"]), { _: [], n: 5 });
  assertEquals(parseArgs(["-n-5"]), { _: [], n: -5 });
  assertEquals(parseArgs(["-m64M"]), { _: [], m: true, 6: true, 4: true, M: true });
});

Deno.test("what follows a sign in a group is the value of the letter before it", () => {
  assertEquals(parseArgs(["-a/dev/null"]), { _: [], a: "/dev/null" });
  assertEquals(parseArgs(["-ab./x"]), { _: [], a: true, b: "./x" });
});

Deno.test("a boolean takes no value but true or false", () => {
  const options = { boolean: ["q", "quiet"] } as const;
  assertEquals(parseArgs(["-q", "img"], options), { _: ["img"], q: true, quiet: false });
  assertEquals(parseArgs(["-q", "false", "--quiet", "true"], options), {
    _: [],
    q: false,
    quiet: true,
  });
  assertEquals(parseArgs(["--quiet=false"], options), { _: [], q: false, quiet: false });
  assertEquals(parseArgs(["--quiet=true"], options), { _: [], q: false, quiet: true });
});

Deno.test("an absent boolean is false, an absent string is absent", () => {
  assertEquals(parseArgs([], { boolean: ["a"], string: ["b"] }), { _: [], a: false });
});

Deno.test("boolean: true makes every long option without = a boolean", () => {
  assertEquals(parseArgs(["--a", "x", "--b=y", "-c", "z"], { boolean: true }), {
    _: ["x"],
    a: true,
    b: "y",
    c: "z",
  });
});

Deno.test("of an option that comes twice, the last value counts", () => {
  assertEquals(parseArgs(["--a=1", "--a=2", "-b", "-b", "3"]), { _: [], a: 2, b: 3 });
});

Deno.test("a collected option gives all its values, and none as an empty array", () => {
  const options = { string: ["hole"], collect: ["hole"] } as const;
  assertEquals(parseArgs(["--hole=1", "--hole", "2"], options).hole, ["1", "2"]);
  assertEquals(parseArgs(["--hole=1"], options).hole, ["1"]);
  assertEquals(parseArgs([], options).hole, []);
});

Deno.test("a collected boolean counts its occurrences, in a group too", () => {
  const options = { boolean: ["v"], collect: ["v"] } as const;
  assertEquals(parseArgs(["-vv", "-v"], options).v, [true, true, true]);
  assertEquals(parseArgs([], options).v, []);
});

Deno.test("a collected option of no declared type has numbers and is absent when not given", () => {
  assertEquals(parseArgs(["--n=1", "--n=x"], { collect: ["n"] }), { _: [], n: [1, "x"] });
  assertEquals("n" in parseArgs([], { collect: ["n"] }), false);
});

Deno.test("--no- negates what is negatable, and only that", () => {
  const options = { boolean: ["color"], negatable: ["color"], default: { color: true } };
  assertEquals(parseArgs([], options).color, true);
  assertEquals(parseArgs(["--no-color"], options).color, false);
  assertEquals(parseArgs(["--no-color", "--color"], options).color, true);
  assertEquals(parseArgs(["--no-color"], { boolean: ["color"] }), {
    _: [],
    "no-color": true,
    color: false,
  });
  assertEquals(parseArgs(["--no-trace", "x"]), { _: [], "no-trace": "x" });
});

Deno.test("a negated string option is false, also under its aliases", () => {
  const options = { string: ["trace"], negatable: ["trace"], alias: { trace: "t" } } as const;
  const args = parseArgs(["--no-trace"], options);
  assertEquals(args.trace, false);
  assertEquals(args.t, false);
});

Deno.test("negating a collected option drops what was collected", () => {
  const options = { string: ["hole"], collect: ["hole"], negatable: ["hole"] } as const;
  assertEquals(parseArgs(["--hole=1", "--no-hole"], options).hole, false);
  assertEquals(parseArgs(["--no-hole", "--hole=1"], options).hole, ["1"]);
});

Deno.test("an alias gives the value under every name, whichever was used", () => {
  const options = { string: ["memory"], alias: { memory: ["m", "ram"] } } as const;
  for (const arg of ["--memory=1", "-m=1", "--ram=1"]) {
    assertEquals(parseArgs([arg], options), { _: [], memory: "1", m: "1", ram: "1" });
  }
});

Deno.test("an alias shares what the option is: boolean, string, collected, negatable", () => {
  const options = { boolean: ["quiet"], alias: { quiet: "q" } } as const;
  assertEquals(parseArgs(["-q", "img"], options), { _: ["img"], q: true, quiet: true });
  assertEquals(parseArgs([], options), { _: [], q: false, quiet: false });
  const collected = { string: ["break"], collect: ["break"], alias: { break: "b" } } as const;
  assertEquals(parseArgs(["-b", "1", "--break=2"], collected).b, ["1", "2"]);
});

Deno.test("an undefined alias is a TypeError", () => {
  // deno-lint-ignore no-explicit-any -- what the types forbid, a program without types can do
  assertThrows(() => parseArgs([], { alias: { a: undefined } as any }), TypeError);
});

Deno.test("a default is the value of an absent option, as it is and under its aliases", () => {
  const options = {
    string: ["memory"],
    default: { memory: "128M" },
    alias: { memory: "m" },
  } as const;
  assertEquals(parseArgs([], options), { _: [], memory: "128M", m: "128M" });
  assertEquals(parseArgs(["-m", "1G"], options), { _: [], memory: "1G", m: "1G" });
  assertEquals(parseArgs([], { default: { n: "5", list: [1] } }), { _: [], n: "5", list: [1] });
});

Deno.test("what follows -- is no option", () => {
  assertEquals(parseArgs(["a", "--", "--b", "5"]), { _: ["a", "--b", "5"] });
});

Deno.test("what follows -- is kept apart on demand, and as text", () => {
  const options = { "--": true } as const;
  assertEquals(parseArgs(["a", "--b", "--", "5", "--"], options), {
    _: ["a"],
    b: true,
    "--": ["5", "--"],
  });
  assertEquals(parseArgs(["a"], options), { _: ["a"], "--": [] });
});

Deno.test("stopEarly takes nothing for an option after the first other argument", () => {
  assertEquals(
    parseArgs(["--a", "--b=1", "run", "--c", "5"], { stopEarly: true, boolean: ["a"] }),
    {
      _: ["run", "--c", "5"],
      a: true,
      b: 1,
    },
  );
});

Deno.test("unknown is told each undeclared argument, with name and text for an option", () => {
  const told: unknown[] = [];
  const args = parseArgs(["--a", "x", "--b=5", "-cd", "img", "--e", "--", "--f"], {
    string: ["a"],
    boolean: ["c"],
    unknown: (arg, key, value) => {
      told.push([arg, key, value]);
      return false;
    },
  });
  assertEquals(told, [
    ["--b=5", "b", "5"],
    ["-cd", "d", "img"],
    ["--e", "e", true],
  ]);
  assertEquals(args, { _: ["--f"], a: "x", c: true });
});

Deno.test("what unknown does not answer with false is kept", () => {
  const unknown = (arg: string): boolean => arg !== "--a";
  assertEquals(parseArgs(["--a", "--b", "--", "x"], { unknown }), { _: ["x"], b: true });
  assertEquals(parseArgs(["img"], { unknown: () => undefined }), { _: ["img"] });
  assertEquals(parseArgs(["img"], { unknown: () => false }), { _: [] });
});

Deno.test("aliases, booleans, strings and collected options are not unknown", () => {
  const told: string[] = [];
  parseArgs(["-m", "1", "--ram=1", "--q", "--s", "--c", "--no-n"], {
    alias: { m: "ram" },
    boolean: ["q"],
    string: ["s"],
    collect: ["c"],
    negatable: ["n"],
    unknown: (arg) => told.push(arg),
  });
  assertEquals(told, ["--no-n"]);
});

Deno.test("a dotted name makes an object", () => {
  assertEquals(parseArgs(["--a.b=1", "--a.c", "x"]), { _: [], a: { b: 1, c: "x" } });
  assertEquals(parseArgs([], { default: { "a.b": 1 } }), { _: [], a: { b: 1 } });
});

Deno.test("no name reaches an object's prototype", () => {
  parseArgs(["--__proto__.x=1", "--constructor.prototype.x=1", "--a.__proto__.x=1"]);
  assertEquals(({} as Record<string, unknown>).x, undefined);
});

Deno.test("the result is typed by the declared options", () => {
  const args = parseArgs(["--quiet", "--hole=1", "--no-trace", "--", "rest"], {
    boolean: ["quiet"],
    string: ["memory", "boot", "hole", "trace"],
    collect: ["hole"],
    negatable: ["trace"],
    alias: { quiet: "q", memory: ["m"] },
    default: { boot: "auto" },
    "--": true,
  });
  const quiet: boolean = args.quiet;
  const q: boolean = args.q;
  const hole: string[] = args.hole;
  const memory: string | undefined = args.memory;
  const m: string | undefined = args.m;
  const boot: string = args.boot;
  const trace: string | false | undefined = args.trace;
  const positional: Array<string | number> = args._;
  const rest: string[] = args["--"];
  const other: unknown = args.other;
  // @ts-expect-error: an option that may be absent may be undefined
  const present: string = args.memory;
  assertEquals([quiet, q, hole, memory, m, boot, trace, positional, rest, other, present], [
    true,
    true,
    ["1"],
    undefined,
    undefined,
    "auto",
    false,
    [],
    ["rest"],
    undefined,
    undefined,
  ]);
});

Deno.test("without declared options any name may be asked for", () => {
  const args = parseArgs(["--n=5"]);
  const n: number = args.n;
  assertEquals(n, 5);
});
