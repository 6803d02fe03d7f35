import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import schemaFile from "../../docs/test.schema.json" with { type: "json" };
import { RUN_DIALECT } from "../../src/cli/options/test_dialect.ts";
import { TestFileError } from "../../src/testing/position.ts";
import { testFileSchema } from "../../src/testing/schema.ts";
import type { TestCase } from "../../src/testing/test_case.ts";
import { testFileReader } from "../../src/testing/test_file.ts";
import { DIALECT } from "../lib/testing.ts";

const reader = testFileReader(DIALECT);

/** A test with a name and an image, and what else is given. */
function read(lines: string): Promise<TestCase[]> {
  return reader("/dir/a.toml", `[[test]]\nname = "a"\nimage = "../x.elf"\n${lines}`);
}

async function expectations(lines: string) {
  const [{ judge }] = await read(lines) as [TestCase];
  if (judge.by !== "expectations") throw new Error("no expectations");
  return judge.expect;
}

Deno.test("a test has a name and an image, and defaults for the rest", async () => {
  const [test] = await read("");
  assertEquals(test, {
    name: "a",
    file: "/dir/a.toml",
    line: 1,
    folder: "/dir",
    image: "../x.elf",
    options: [],
    ownTrace: false,
    timeoutMs: 60_000,
    maxOutputBytes: 4 << 20,
    tags: [],
    retry: 0,
    skipIf: [],
    onlyIf: [],
    judge: { by: "expectations", expect: { exit: 0, exits: [] } },
    untranslated: [],
  });
});

Deno.test("options are those of the command line, by their type", async () => {
  const [test] = await read(
    'memory = "16M"\ncpus = 2\ninitrd = ["a", "b"]\ndecompress = true\nappend = ""\ntimeout = "5s"',
  );
  assertEquals(test!.options, [
    "--memory=16M",
    "--cpus=2",
    "--append=",
    "--initrd=a",
    "--initrd=b",
    "--decompress",
  ]);
  assertEquals(test!.timeoutMs, 5000);
  assertEquals((await read('decompress = false\ninitrd = "x"'))[0]!.options, ["--initrd=x"]);
});

Deno.test("the runner has the trace for itself, unless a test sends it elsewhere", async () => {
  const [test] = await read('trace = "io"\nformat = "json"\nquiet = true');
  assertEquals([test!.options, test!.trace, test!.ownTrace], [[], "io", false]);
  const [own] = await read('trace = "io"\nformat = "json"\ntrace-file = "t"');
  assertEquals(own!.ownTrace, true);
  assertEquals(own!.options, ["--trace=io", "--format=json", "--trace-file=t"]);
});

Deno.test("a matrix makes one test for each combination", async () => {
  const tests = await read('matrix = { image = ["p", "q"], cpus = [1, 2] }');
  assertEquals(tests.map(({ name, image, options }) => [name, image, ...options]), [
    ["a [image=p cpus=1]", "p", "--cpus=1"],
    ["a [image=p cpus=2]", "p", "--cpus=2"],
    ["a [image=q cpus=1]", "q", "--cpus=1"],
    ["a [image=q cpus=2]", "q", "--cpus=2"],
  ]);
});

Deno.test("expectations of the end", async () => {
  assertEquals((await expectations("exit = 67")).exit, 67);
  assertEquals((await expectations('exit = "timeout"')).exit, "timeout");
  const expect = await expectations(
    'fault = { gpa = "0xfffffffffffff000", access = "read" }\nwithin = "1.5s"\nmax_exits = 7',
  );
  assertEquals(expect, {
    exit: "memory_fault",
    exits: [],
    fault: { gpa: 0xffff_ffff_ffff_f000n, access: "read" },
    withinMs: 1500,
    maxExits: 7,
  });
});

Deno.test("expectations of the output", async () => {
  assertEquals((await expectations('stdout = "x"')).stdout?.exact, "x");
  const { stdout } = await expectations(
    '[test.stdout]\ngolden = "g"\ncontains = "c"\nregex = ["^r$"]\nin_order = ["i", "j"]\nnever = "n"',
  );
  assertEquals(stdout, {
    golden: "/dir/g",
    contains: ["c"],
    regex: [/^r$/m],
    inOrder: ["i", "j"],
    never: ["n"],
  });
});

Deno.test("expectations of the exits", async () => {
  assertEquals((await expectations("exits = { IO = 3, HLT = { min = 1 } }")).exits, [
    { kind: "count", pattern: { reason: "IO" }, bounds: { min: 3, max: 3 } },
    { kind: "count", pattern: { reason: "HLT" }, bounds: { min: 1, max: Infinity } },
  ]);
  const { exits } = await expectations(`exits = [
    { port = "0x60-0x64", direction = "in", max = 2 },
    { reason = "MMIO", gpa = 4096 },
    { sequence = ["IO", { port = 0x3f8 }] },
    { consecutive = ["HLT"] },
  ]`);
  assertEquals(exits, [
    {
      kind: "count",
      pattern: { ports: [0x60n, 0x64n], direction: "in" },
      bounds: { min: 0, max: 2 },
    },
    {
      kind: "count",
      pattern: { reason: "MMIO", gpas: [4096n, 4096n] },
      bounds: { min: 1, max: Infinity },
    },
    {
      kind: "sequence",
      consecutive: false,
      steps: [{ reason: "IO" }, { ports: [0x3f8n, 0x3f8n] }],
    },
    { kind: "sequence", consecutive: true, steps: [{ reason: "HLT" }] },
  ]);
});

Deno.test("conditions, tags, input and retries", async () => {
  const [test] = await read(
    'skip_if = "native_cpl0"\nonly_if = ["kvm", "MAX_VCPUS >= 4"]\ntags = ["t"]\nstdin = "in"\nretry = 2',
  );
  assertEquals(test!.skipIf, [{ name: "native_cpl0", atLeast: 1 }]);
  assertEquals(test!.onlyIf, [{ name: "kvm", atLeast: 1 }, { name: "MAX_VCPUS", atLeast: 4 }]);
  assertEquals([test!.tags, test!.stdin, test!.retry], [["t"], "in", 2]);
});

for (
  const [lines, message] of [
    ['memroy = "1M"', '/dir/a.toml:4:1: unknown key "memroy"; did you mean memory?'],
    ["help = true", '4:1: unknown key "help"'],
    ["memory = true", "4:1: memory must be a string or a number, and true is not"],
    ['decompress = "yes"', '4:1: decompress must be true or false, and "yes" is not'],
    ["tags = [1]", "4:9: this must be a string, and 1 is not"],
    ['exit = "hlt"', '4:1: exit cannot be "hlt": did you mean halt?'],
    ["exit = 300", "4:1: exit cannot be 300: "],
    ["exits = { IOO = 1 }", '4:11: "IOO" is not one of the known names; did you mean IO?'],
    ["exits.IO = -1", "4:7: IO cannot be -1: How many"],
    ['exits = [{ sequence = ["HLTT"] }]', '4:24: this cannot be "HLTT": did you mean HLT?'],
    ['exits = [{ sequence = ["HLT"], count = 1 }]', "4:10: a sequence takes no other keys"],
    ["exits = [{ min = 3, max = 1 }]", "4:10: min is 3, more than max, 1"],
    ["exits = [{ count = 3, max = 1 }]", "4:10: count excludes min and max"],
    ['exits = [{ port = "9-1" }]', "4:12: the range ends before it begins"],
    ["exits = [{ gpa = 0xffffffffffffff }]", "4:12: write so large a number as a string"],
    ['stdout = { contians = "x" }', '4:12: unknown key "contians"; did you mean contains?'],
    ['stdout.regex = "("', "4:8: Invalid regular expression"],
    ['stdout = { exact = "x", golden = "y" }', "4:25: stdout has exact, too"],
    ['fault.gpa = "1-2"', "4:7: gpa is one address"],
    ['within = "5"', '4:1: within cannot be "5": '],
    ['timeout = "soon"', '4:1: "soon" is not a duration'],
    ['only_if = ["KVMM"]', '4:12: this cannot be "KVMM": '],
    ['skip_if = "KVMM >= 3"', '4:1: "KVMM >= 3" is not a capability'],
    ["matrix = { cpus = [1] }\ncpus = 1", "4:12: cpus has a value outside the matrix too"],
    ["matrix = { cpus = [] }", "4:12: cpus cannot be []"],
    [
      `matrix = { cpus = [${"1,".repeat(200)}], memory = [${"1,".repeat(200)}] }`,
      "4:1: the matrix has 40000 combinations",
    ],
    ['trace-file = "t"\nmax_exits = 1', "5:1: max_exits is judged by the trace"],
    ['[[test]]\nname = "a"\nimage = "y"', '5:1: another test of this file is called "a"'],
    ['[[test]]\nname = "b"', '4:1: the key "image" is missing'],
    ["[more]", '4:1: unknown key "more"'],
  ] as const
) {
  Deno.test(`an error with its place: ${lines.replaceAll("\n", "; ").slice(0, 60)}`, async () => {
    const error = await assertRejects(() => read(lines), TestFileError);
    assertStringIncludes(error.message, message);
  });
}

Deno.test("a mistyped [[test]] heading is answered with the right one", async () => {
  const refused = (text: string, message: string) =>
    assertRejects(() => reader("e.toml", text), TestFileError, message);
  await refused('[test]\nname = "a"', "e.toml:1:1: write [[test]] with two brackets");
  await refused('[[tests]]\nname = "a"', 'e.toml:1:1: unknown key "tests"; did you mean [[test]]?');
  await refused('[tests]\nname = "a"', 'e.toml:1:1: unknown key "tests"; did you mean [[test]]?');
});

const runReader = testFileReader(RUN_DIALECT);
for (
  const [lines, message] of [
    ['memory = "64X"', '4:1: memory: "64X" is not a size'],
    ["memory = 3", "4:1: memory: 0x3 bytes is not a whole number of pages"],
    ['hole = ["0x1000+0x1000:none", "0x2000"]', '4:31: hole: "0x2000" is not a hole'],
    ['hole = "0x1000+0x1000:nonee"', "did you mean none?"],
    ['hole = "0x10000000+0x1000:none"\nmemory = "64M"', "4:1: hole: the hole 0x10000000+0x1000"],
    ['hole = ["0x1000+0x1000:none", "0x1000+0x1000:lazy"]', "4:1: hole: the holes"],
    ['cpu = "+foo"', '4:1: cpu: "+foo" is not a processor feature; did you mean +fpu?'],
    ["cpus = 300", "4:1: cpus: a guest has at most 255 vCPUs, not 300"],
    ['boot = "elv"', '4:1: boot: "elv" is none of'],
    ['entry = "start"', '4:1: entry: "start" is not an address'],
    ['com1 = "tcp:1"', '4:1: com1: "tcp:1" is none of'],
    ['trace = "iio"', '4:1: trace: "iio" is neither'],
    ["break = [1, 2, 3, 4, 5]", "4:1: break: x86 has four breakpoints, not 5"],
    ['matrix.memory = ["64M", "3"]', "4:25: memory: 0x3 bytes"],
  ] as const
) {
  Deno.test(`an option's value is checked before any test runs: ${lines}`, async () => {
    const text = `[[test]]\nname = "a"\nimage = "y"\n${lines.replaceAll("\\n", "\n")}`;
    const error = await assertRejects(() => runReader("e.toml", text), TestFileError);
    assertStringIncludes(error.message, message);
  });
}

Deno.test("options that name files are not opened before their test runs", async () => {
  const text = `[[test]]
name = "a"
image = "y"
hole = "0x140000000+0x1000:lazy:/nowhere"
memory = "6G"
fw-cfg = "opt/x,file=/nowhere"
initrd = "/nowhere"
`;
  assertEquals((await runReader("e.toml", text)).length, 1);
});

Deno.test("a file without tests is an error", async () => {
  await assertRejects(() => reader("e.toml", ""), TestFileError, 'e.toml:1:1: the key "test" is');
});

Deno.test("all errors are reported, in the order of the file", async () => {
  const error = await assertRejects(
    () => reader("e.toml", "[[test]]\nnme = 1\n[[test]]\nname = 2\nimage = 3"),
    TestFileError,
  );
  assertEquals(error.problems.map(({ at }) => [at.line, at.column]), [[1, 1], [2, 1], [4, 1], [
    5,
    1,
  ]]);
});

Deno.test("docs/test.schema.json is the schema that test files are checked against", () => {
  const schema = JSON.parse(JSON.stringify(testFileSchema(RUN_DIALECT.options)));
  assertEquals(schemaFile, schema, "write it anew with ./dev schema");
});
