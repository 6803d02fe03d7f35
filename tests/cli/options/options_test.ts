import { assertEquals, assertThrows } from "@std/assert";
import { type OptionSpec, RUN, type RunOption } from "../../../src/cli/options/options.ts";
import { type Parsed, type ParsedOptions, parseOptions } from "../../../src/cli/options/parse.ts";
import { UsageError } from "../../../src/cli/options/usage_error.ts";

function parse(...args: string[]): ParsedOptions<RunOption> {
  return parseOptions(RUN, args);
}

/** The options and operands that were understood. */
function understood(...args: string[]) {
  const parsed: Parsed<never, never, never> = parse(...args);
  const { value: valueOf, values, flag } = parsed as Parsed<string, string, string>;
  const given: Record<string, string | readonly string[] | true> = {};
  const options: readonly OptionSpec[] = RUN.options;
  for (const { name, value, repeat } of options) {
    if (value === undefined) {
      if (flag(name)) given[name] = true;
    } else if (valueOf(name) !== undefined) {
      given[name] = repeat ? values(name) : valueOf(name)!;
    }
  }
  return [given, ...parsed.operands];
}

Deno.test("a long option takes its value behind = or as the next argument", () => {
  assertEquals(understood("--memory=1M", "x"), [{ memory: "1M" }, "x"]);
  assertEquals(understood("--memory", "1M", "x"), [{ memory: "1M" }, "x"]);
  assertEquals(understood("--append=a=b", "x"), [{ append: "a=b" }, "x"]);
});

Deno.test("a value may look like anything", () => {
  for (const value of ["-x", "--quiet", "--", "-", "=", "a b", "1", "true", "ä\n=b"]) {
    assertEquals(understood("--append", value, "x"), [{ append: value }, "x"]);
    assertEquals(understood(`--append=${value}`, "x"), [{ append: value }, "x"]);
    assertEquals(understood("-a", value, "x"), [{ append: value }, "x"]);
    assertEquals(understood("-i", value, "x"), [{ initrd: [value] }, "x"]);
  }
});

Deno.test("an empty command line is one, and any other value must not be empty", () => {
  for (const args of [["--append", ""], ["--append="], ["-a", ""]]) {
    assertEquals(understood(...args, "-q", "x"), [{ append: "", quiet: true }, "x"]);
    assertEquals(understood("x", ...args), [{ append: "" }, "x"]);
  }
  for (const args of [["--initrd", ""], ["--initrd="], ["-i", ""], ["--kvm="]]) {
    assertThrows(() => parse(...args, "x"), UsageError, "needs a value");
  }
});

Deno.test("letters form groups, and the first that takes a value has the rest", () => {
  assertEquals(understood("-qm64M", "x"), [{ quiet: true, memory: "64M" }, "x"]);
  assertEquals(understood("-qm", "64M", "x"), [{ quiet: true, memory: "64M" }, "x"]);
  assertEquals(understood("-m=64M", "x"), [{ memory: "64M" }, "x"]);
  assertEquals(understood("-aqm", "x"), [{ append: "qm" }, "x"]);
  assertEquals(understood("-a-x", "x"), [{ append: "-x" }, "x"]);
});

Deno.test("a repeatable option keeps all values in order, any other is given once", () => {
  assertEquals(understood("-i", "a", "x", "--initrd=b"), [{ initrd: ["a", "b"] }, "x"]);
  assertThrows(() => parse("-m", "1M", "-m", "1M", "x"), UsageError, "--memory is given twice");
});

Deno.test("operands stand anywhere, and behind -- everything is one", () => {
  assertEquals(understood("x", "-q"), [{ quiet: true }, "x"]);
  assertEquals(understood("-q", "--", "-x"), [{ quiet: true }, "-x"]);
  assertEquals(understood("-q", "-"), [{ quiet: true }, "-"]);
  assertEquals(understood("-q", "true"), [{ quiet: true }, "true"]);
  assertEquals(understood("--", "--"), [{}, "--"]);
});

Deno.test("a missing value is an error that names the option in full", () => {
  for (const args of [["x", "--memory"], ["x", "-m"], ["x", "-qm"]]) {
    assertThrows(() => parse(...args), UsageError, "--memory needs a value");
  }
});

Deno.test("flags take no value", () => {
  assertThrows(() => parse("--quiet=no", "x"), UsageError, "--quiet takes no value");
  assertThrows(() => parse("-q=no", "x"), UsageError, "--quiet takes no value");
});

Deno.test("an unknown option is an error that knows what was given", () => {
  for (const [arg, given] of [["--bogus=1", "--bogus"], ["-qz", "-z"], ["--=x", "--"]]) {
    const error = assertThrows(() => parse(arg!, "x"), UsageError, `unknown option ${given}`);
    assertEquals(error.given, given);
  }
});

Deno.test("--help spares the operands", () => {
  assertEquals(parse("--help").flag("help"), true);
  assertEquals(parse("-qh", "a", "b").flag("help"), true);
  assertThrows(() => parse(), UsageError, "run needs IMAGE");
  assertThrows(() => parse("a", "b"), UsageError, '"b" is one too many');
});

Deno.test("an unknown option's name does not compile, nor does a flag read as a value", () => {
  const options = parse("x");
  const mistakes = [
    // @ts-expect-error: no such option
    () => options.value("memroy"),
    // @ts-expect-error: a flag
    () => options.value("single-step"),
    // @ts-expect-error: an option that may be given several times
    () => options.value("hole"),
    // @ts-expect-error: an option that is given once
    () => options.values("memory"),
    // @ts-expect-error: an option with a value
    () => options.flag("memory"),
  ];
  assertEquals(mistakes.length, 5);
});
