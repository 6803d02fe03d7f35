/**
 * What README.md shows is so: its commands end as it says, its transcripts are
 * what they print, and its tables are those of the sources.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs";
import config from "../deno.json" with { type: "json" };
import testSchema from "../docs/test.schema.json" with { type: "json" };
import { commandHelp } from "../src/cli/commands/help.ts";
import { COMMANDS } from "../src/cli/options/options.ts";
import { TRACE_CLASSES } from "../src/trace/spec.ts";
import { kvmTest } from "./lib/kvm.ts";
import { schemaError } from "./lib/trace_schema.ts";
import { execute, linesOf, PROJECT } from "./lib/vmexit.ts";

const README = Deno.readTextFileSync(`${PROJECT}README.md`);

/** The contents of the fenced blocks of a language. */
function blocks(language: string): string[] {
  return [...README.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter(([, name]) => name === language)
    .map(([, , content]) => content!);
}

/** Where a run differs from the one before: times, rates, and where RIP is at an exit. */
function settle(text: string): string {
  return text
    .replace(/\d+\.\d+ ?ms/g, "N ms")
    .replace(/\d+ exits\/s/g, "N exits/s")
    .replace(/rip=0x[0-9a-f]+/g, "rip=N");
}

const commands = blocks("sh").flatMap(linesOf).map((line) => line.split(/\s+# /));

for (const [command, comment = ""] of commands) {
  const [program, task] = command!.split(" ");
  if (program === "./dev") {
    Deno.test(`there is a task for ${command}`, () => {
      assert(task === undefined || task in config.tasks);
    });
    continue;
  }
  const expected = Number(/^exit code (\d+)/.exec(comment)?.[1] ?? 0);
  kvmTest(`${command} ends with ${expected}`, async () => {
    assertEquals(program, "./vmexit");
    const { code, stderr } = await execute("bash", ["-c", command!]);
    assertEquals(code, expected, stderr);
  });
}

for (const transcript of blocks("console")) {
  const [prompt, ...shown] = linesOf(transcript);
  const command = prompt!.replace(/^\$ /, "");
  kvmTest(`${command} prints what is shown`, async () => {
    const { stdout, stderr } = await execute("bash", ["-c", command]);
    // On a terminal the two are mixed.
    const guest = new Set(linesOf(stdout));
    const trace = shown.filter((line) => !guest.has(line));
    assertEquals(shown.filter((line) => guest.has(line)).join("\n") + "\n", stdout);
    assertEquals(settle(trace.join("\n")), settle(stderr.trimEnd()));
  });
}

kvmTest("the library's example prints what the guest does", async () => {
  const [example] = blocks("ts");
  const { code, stdout, stderr } = await execute("bash", [
    "-c",
    './dev example - <<< "$1"',
    "bash",
    example!,
  ]);
  assertEquals([code, stdout], [0, "Hello, KVM!\n"], stderr);
});

Deno.test("the options of run are those of its help", () => {
  const help = commandHelp(COMMANDS.find(({ name }) => name === "run")!);
  const usage = help.slice(help.indexOf("Usage: "), help.indexOf("\nTrace classes"));
  assertStringIncludes(README, "```text\n" + usage.trimEnd() + "\n```\n");
});

Deno.test("the options of test are those of its help", () => {
  const help = commandHelp(COMMANDS.find(({ name }) => name === "test")!);
  assertStringIncludes(README, "```text\n" + help.slice(help.indexOf("Usage: ")) + "```\n");
});

Deno.test("the test file is the one that the smoke tests run", () => {
  const example = Deno.readTextFileSync(`${PROJECT}tests/smoke/example.toml`);
  assertEquals(blocks("toml"), [example]);
});

Deno.test("every key of a test file is named", () => {
  const options = COMMANDS.find(({ name }) => name === "run")!.options.map(({ name }) => name);
  const own = Object.keys(testSchema.definitions.test.properties)
    .filter((key) => !options.includes(key));
  const table = README.slice(README.indexOf("| key "), README.indexOf("Ports and addresses"));
  const named = [...table.matchAll(/^\| (`[^|]+`) /gm)].flatMap(([, keys]) =>
    [...keys!.matchAll(/`(\w+)`/g)].map(([, key]) => key)
  );
  assertEquals(named.toSorted(), own.toSorted());
});

Deno.test("every command is named", () => {
  for (const { name, operands } of COMMANDS) {
    assertStringIncludes(README, `| \`vmexit ${name} ${operands}`.trimEnd() + "`");
  }
});

Deno.test("the trace classes are those of the sources", () => {
  const table = README.matchAll(/^\| `(\w+)` +\| ((?:`[A-Z0-9_]+`(?:, )?)+) +\|$/gm);
  const documented = [...table].map(([, name, reasons]) => [
    name,
    [...reasons!.matchAll(/`(\w+)`/g)].map(([, reason]) => reason),
  ]);
  assertEquals(Object.fromEntries(documented), TRACE_CLASSES);
});

Deno.test("the exit codes are those of the help", () => {
  const help = commandHelp(COMMANDS.find(({ name }) => name === "run")!);
  const listed = help.slice(help.indexOf("Exit codes")).matchAll(/(?:^ {2}| {2})(\d+|odd) {2}/gm);
  const [section] = README.split("\n## Exit codes\n")[1]!.split("\n## ");
  const documented = section!.matchAll(/^\| (\d+|odd) +\|/gm);
  const codes = (matches: Iterable<RegExpMatchArray>) =>
    new Set([...matches].map(([, code]) => code));
  assertEquals(codes(documented), codes(listed));
});

Deno.test("the JSON records fit the schema", () => {
  const records = blocks("json").flatMap(linesOf);
  assertEquals(records.length, 4);
  for (const record of records) assertEquals(schemaError(JSON.parse(record)), undefined, record);
});

Deno.test("every file that is linked to is there", () => {
  for (const [, target] of README.matchAll(/\]\(([^)#]+)\)/g)) {
    if (!target!.startsWith("https:")) assert(existsSync(`${PROJECT}${target}`), target);
  }
});
