/**
 * What the documents say is so: their commands end as they say, their transcripts are what the
 * commands print, their tables are those of the sources, and every file that they name exists.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs";
import { dirname, join } from "node:path";
import config from "../deno.json" with { type: "json" };
import testSchema from "../docs/test.schema.json" with { type: "json" };
import { commandHelp } from "../src/cli/commands/help.ts";
import { COMMANDS } from "../src/cli/options/options.ts";
import { HOLE_KINDS } from "../src/memory/hole.ts";
import { TRACE_CLASSES } from "../src/trace/spec.ts";
import { anchors, blocks, commandsOf, document, DOCUMENTS, transcriptsOf } from "./lib/docs.ts";
import { kvmTest } from "./lib/kvm.ts";
import { schemaError } from "./lib/trace_schema.ts";
import { execute, linesOf, PROJECT, TempDir } from "./lib/vmexit.ts";

/** Commands that no test of this file runs, and why. */
const NOT_RUN: Readonly<Record<string, string>> = {
  "./dev test": "runs this very test",
  "./dev check": "takes a minute; a step of every commit",
  "./dev lint": "takes a minute; a step of every commit",
  "./dev fmt --check": "a step of every commit",
  "./dev test:dist": "takes minutes",
  "./dev test:report": "takes a minute, and needs a browser",
  "./dev fuzz": "takes a minute; tests/hostile/hostile_test.ts runs some of it",
  "./dev bench": "takes minutes",
  "./dev bench growth": "takes minutes, and draws docs/growth.svg",
  "./dev guests": "needs the network and apt-get",
  "./dev guests --filter multiboot": "needs the network and apt-get",
};

/** Where a run differs from the one before: times, rates, and where RIP is at an exit. */
function settle(text: string): string {
  return text
    .replace(/\d+\.\d+ ?ms/g, "N ms")
    .replace(/\d+ exits\/s/g, "N exits/s")
    .replace(/rip=0x[0-9a-f]+/g, "rip=N");
}

/** Files that the commands of a document write to /tmp; each document has its own. */
const folders = new Map(DOCUMENTS.map(({ path }) => [path, new TempDir()]));
addEventListener("unload", () => folders.forEach((folder) => folder[Symbol.dispose]()));

/** Runs a command of a document, in the project's folder and with vmexit on the path. */
function runCommand(path: string, command: string): ReturnType<typeof execute> {
  const script = command.replaceAll("/tmp/", `${folders.get(path)!.path}/`);
  const env = { PATH: `${PROJECT}:${Deno.env.get("PATH")}`, NO_COLOR: "1" };
  return execute("bash", ["-c", script], { env });
}

for (const { path, text } of DOCUMENTS) {
  const commands = [...blocks(text, "sh"), ...blocks(text, "bash")].flatMap(commandsOf);
  for (const { command, exitCode } of commands) {
    if (command in NOT_RUN) continue;
    kvmTest(`${path}: ${command.split("\n")[0]} ends with ${exitCode}`, async () => {
      const { code, stdout, stderr } = await runCommand(path, command);
      assertEquals(code, exitCode, stdout + stderr);
    });
  }
  for (const { command, shown } of blocks(text, "console").flatMap(transcriptsOf)) {
    kvmTest(`${path}: ${command} prints what is shown`, async () => {
      const { stdout, stderr } = await runCommand(path, command);
      // On a terminal the two are mixed.
      const guest = new Set(linesOf(stdout));
      const trace = shown.filter((line) => !guest.has(line));
      const output = shown.filter((line) => guest.has(line));
      assertEquals(output.join("\n"), stdout.replace(/\n$/, ""));
      assertEquals(settle(trace.join("\n")), settle(stderr.trimEnd()));
    });
  }
}

Deno.test("there is a task for every ./dev, and every command that is not run is documented", () => {
  const commands = DOCUMENTS
    .flatMap(({ text }) => blocks(text, "sh").flatMap(commandsOf))
    .map(({ command }) => command);
  for (const command of commands) {
    const [program, task] = command.split(" ");
    if (program === "./dev") assert(task === undefined || task in config.tasks, command);
  }
  for (const command of Object.keys(NOT_RUN)) assert(commands.includes(command), command);
});

Deno.test("the README fits in 200 lines", () => {
  assert(linesOf(document("README.md")).length <= 200);
});

kvmTest("the README's experiment prints what the guest does", async () => {
  const [example] = blocks(document("README.md"), "ts");
  const script = './dev example - <<< "$1"';
  const { code, stdout, stderr } = await execute("bash", ["-c", script, "bash", example!]);
  assertEquals([code, stdout], [0, "Hello, KVM!\n"], stderr);
});

Deno.test("the options of run are those of its help", () => {
  const help = commandHelp(COMMANDS.find(({ name }) => name === "run")!);
  const usage = help.slice(help.indexOf("Usage: "), help.indexOf("\nTrace classes"));
  assertStringIncludes(document("docs/cli.md"), "```text\n" + usage.trimEnd() + "\n```\n");
});

Deno.test("the options of test are those of its help", () => {
  const help = commandHelp(COMMANDS.find(({ name }) => name === "test")!);
  const usage = help.slice(help.indexOf("Usage: "));
  assertStringIncludes(document("docs/smoke-tests.md"), "```text\n" + usage + "```\n");
});

Deno.test("the test file is the one that the smoke tests run", () => {
  const example = Deno.readTextFileSync(`${PROJECT}tests/smoke/example.toml`);
  assertEquals(blocks(document("docs/smoke-tests.md"), "toml"), [example]);
});

Deno.test("every key of a test file is named", () => {
  const text = document("docs/smoke-tests.md");
  const options = COMMANDS.find(({ name }) => name === "run")!.options.map(({ name }) => name);
  const own = Object.keys(testSchema.definitions.test.properties)
    .filter((key) => !options.includes(key));
  const table = text.slice(text.indexOf("| key "), text.indexOf("Ports and addresses"));
  const named = [...table.matchAll(/^\| (`[^|]+`) /gm)].flatMap(([, keys]) =>
    [...keys!.matchAll(/`(\w+)`/g)].map(([, key]) => key)
  );
  assertEquals(named.toSorted(), own.toSorted());
});

Deno.test("every command is named", () => {
  for (const { name, operands } of COMMANDS) {
    assertStringIncludes(document("docs/cli.md"), `| \`vmexit ${name} ${operands}`.trimEnd() + "`");
  }
});

Deno.test("every kind of hole is named", () => {
  const text = document("docs/memory-faults.md");
  for (const kind of HOLE_KINDS) assert(new RegExp(`^\\| \`${kind}\``, "m").test(text), kind);
});

Deno.test("the trace classes are those of the sources", () => {
  const table = document("docs/cli.md")
    .matchAll(/^\| `(\w+)` +\| ((?:`[A-Z0-9_]+`(?:, )?)+) +\|$/gm);
  const documented = [...table].map(([, name, reasons]) => [
    name,
    [...reasons!.matchAll(/`(\w+)`/g)].map(([, reason]) => reason),
  ]);
  assertEquals(Object.fromEntries(documented), TRACE_CLASSES);
});

Deno.test("the exit codes are those of the help", () => {
  const help = commandHelp(COMMANDS.find(({ name }) => name === "run")!);
  const listed = help.slice(help.indexOf("Exit codes")).matchAll(/(?:^ {2}| {2})(\d+|odd) {2}/gm);
  const [section] = document("README.md").split("\n## Exit codes\n")[1]!.split("\n## ");
  const documented = section!.matchAll(/^\| (\d+|odd) +\|/gm);
  const codes = (matches: Iterable<RegExpMatchArray>) =>
    new Set([...matches].map(([, code]) => code));
  assertEquals(codes(documented), codes(listed));
});

Deno.test("the JSON records fit the schema", () => {
  const records = blocks(document("docs/trace.md"), "json").flatMap(linesOf);
  assertEquals(records.length, 4);
  for (const record of records) assertEquals(schemaError(JSON.parse(record)), undefined, record);
});

const PROJECT_FILE = /`((?:bench|docs|examples|ffi|images|src|std|tests|tools)\/[\w./-]+)`/g;

for (const { path, text } of DOCUMENTS) {
  Deno.test(`${path}: every link leads to a file and a heading that are there`, () => {
    for (const [, target] of text.matchAll(/\]\(([^)]+)\)/g)) {
      if (target!.startsWith("https:")) continue;
      const [file, anchor] = target!.split("#");
      const linked = file ? join(dirname(path), file) : path;
      assert(existsSync(PROJECT + linked), target);
      if (anchor !== undefined) assert(anchors(document(linked)).has(anchor), target);
    }
  });

  Deno.test(`${path}: every file of the project that is named exists`, () => {
    for (const [, name] of text.matchAll(PROJECT_FILE)) {
      // A part in capitals stands for a name of one's own.
      if (/NAME/.test(name!)) continue;
      assert(existsSync(PROJECT + name), name);
    }
  });
}

Deno.test("every document is in the index", () => {
  for (const { path } of DOCUMENTS) {
    if (path.startsWith("docs/") && path !== "docs/README.md") {
      assertStringIncludes(document("docs/README.md"), `](${path.slice("docs/".length)})`);
    }
  }
});

Deno.test("every rule that a test or a comment cites is in the KVM contract", async () => {
  const cites = "R[0-9]+(, R[0-9]+)*:|\\(R[0-9]+(, R[0-9]+)*\\)|rules? R[0-9]+";
  const { stdout } = await execute("grep", ["-rhoE", cites, "src", "tests", "--include=*.ts"]);
  const cited = new Set([...stdout.matchAll(/R\d+/g)].map(([rule]) => rule));
  assert(cited.size >= 8, [...cited].join());
  const headings = document("docs/kvm-contract.md").matchAll(/^### (R\d+):/gm);
  const rules = Array.from(headings, ([, rule]) => rule!);
  assertEquals(rules, rules.map((_, i) => `R${i + 1}`));
  for (const rule of cited) assert(rules.includes(rule), rule);
});
