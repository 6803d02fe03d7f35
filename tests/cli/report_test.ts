/**
 * `vmexit report`, from a guest's run to the page.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs";
import { parse, type TraceSummary } from "../../src/report/embed.ts";
import { kvmTest } from "../lib/kvm.ts";
import { checkTraceEvents } from "../lib/trace_event_format.ts";
import { bash, image, lastLine, TempDir, vmexit } from "../lib/vmexit.ts";
import { BEGIN, out, OUTCOME } from "../report/trace_lines.ts";

const TRACE = [BEGIN, out(1, 1, 0x3f8, "61"), OUTCOME].map((record) =>
  JSON.stringify(record) + "\n"
)
  .join("");

function summaryOf(html: string): TraceSummary {
  return parse(/id="summary">(.*?)<\/script>/s.exec(html)![1]!);
}

kvmTest(
  "a run's JSON trace becomes a page with its machine, its exits and its console",
  async () => {
    using dir = new TempDir();
    const [trace, page] = [`${dir.path}/t.jsonl`, `${dir.path}/report.html`];
    const run = ["run", "--format", "json", "--trace-file", trace];
    const hole = ["--hole", "0x300000+0x1000:lazy"];
    assertEquals((await vmexit(...run, ...hole, image("fault/rmw.bin64"))).code, 0);
    const { code, stdout, stderr } = await vmexit("report", trace, "-o", page);
    assertEquals([code, stdout, stderr], [0, "", ""]);
    const { begin, outcome, rows, reasons, regions, overview, consoles } = summaryOf(
      Deno.readTextFileSync(page),
    );
    assertEquals(begin?.image, image("fault/rmw.bin64"));
    assertEquals([outcome?.kind, outcome?.exits], ["halt", rows]);
    assert(reasons.some(({ name }) => name === "MEMORY_FAULT"));
    assertEquals(consoles, ["uart0"]);
    assertEquals(regions.map(({ kind }) => kind), ["ram", "hole", "ram"]);
    assertEquals(overview.regions[1]?.faults, 1);
    assert(overview.inVmm.count > 0, "vmexit's own time is measured");
  },
);

Deno.test("the page is the same, made of a bundle or of the sources", async () => {
  using dir = new TempDir();
  const trace = dir.file("t.jsonl", TRACE);
  const page = await bash('vmexit report "$1"', trace);
  const fromSources = await bash('VMEXIT_STD=npm vmexit report "$1"', trace);
  assertEquals(fromSources.code, 0, fromSources.stderr);
  assertEquals(fromSources.stdout, page.stdout);
});

kvmTest("a trace in text is refused, with a hint at JSON", async () => {
  using dir = new TempDir();
  await vmexit("run", "--trace-file", `${dir.path}/t`, image("hello.elf"));
  const result = await vmexit("report", `${dir.path}/t`);
  assertEquals(result.code, 4);
  assertStringIncludes(lastLine(result), "/t: line 1: a trace in text");
  assertStringIncludes(lastLine(result), "--format json");
});

Deno.test("a trace comes from standard input, a page goes to standard output", async () => {
  using dir = new TempDir();
  const trace = dir.file("t.jsonl", TRACE);
  const { code, stdout } = await bash('vmexit report - <"$1"', trace);
  assertEquals(code, 0);
  assertEquals(summaryOf(stdout).source, "standard input");
});

Deno.test("--to perfetto writes trace events", async () => {
  using dir = new TempDir();
  const { code, stdout } = await vmexit("report", "--to", "perfetto", dir.file("t", TRACE));
  assertEquals(code, 0);
  assertEquals(checkTraceEvents(stdout).at(-1)?.name, "guest halted (HLT)");
});

kvmTest("real traces become documents in the Trace Event Format", async () => {
  using dir = new TempDir();
  const path = `${dir.path}/t.jsonl`;
  for (
    const [threads, ...guest] of [
      [["vCPU 0", "console uart0"], image("hello.elf")],
      [
        ["vCPU 0", "vCPU 1", "vCPU 2", "vCPU 3", "console uart0"],
        ...["-c", "4", image("smp/hello.mb")],
      ],
      [["vCPU 0"], "--hole", "0x300000+0x1000:none", image("fault/read.bin64")],
    ] as const
  ) {
    await vmexit("run", "--format", "json", "--trace-file", path, ...guest);
    const { stdout } = await vmexit("report", "--to", "perfetto", path);
    const names = checkTraceEvents(stdout).filter(({ name }) => name === "thread_name");
    assertEquals(names.map(({ args }) => (args as { name: string }).name), [...threads]);
  }
});

Deno.test("the trace of a killed run is shown, with a remark", async () => {
  using dir = new TempDir();
  const trace = dir.file("t.jsonl", TRACE.slice(0, -30));
  const { code, stderr } = await vmexit("report", trace, "-o", "/dev/null");
  assertEquals(code, 0);
  assertStringIncludes(stderr, "vmexit: The last line is cut off and was skipped.\n");
});

Deno.test("a trace that cannot be read ends with 4 and leaves no page", async () => {
  using dir = new TempDir();
  const page = `${dir.path}/report.html`;
  for (
    const [path, problem] of [
      [`${dir.path}/none`, "none does not exist"],
      [dir.path, "is a directory, not a trace"],
      [dir.file("bad", TRACE + "}\n"), "bad: line 4: not a JSON record"],
    ] as const
  ) {
    const result = await vmexit("report", path, "-o", page);
    assertEquals(result.code, 4, result.stderr);
    assertStringIncludes(lastLine(result), problem);
    assertEquals(existsSync(page), false);
  }
});

Deno.test("a page that cannot be written ends with 10", async () => {
  using dir = new TempDir();
  const trace = dir.file("t.jsonl", TRACE);
  for (const target of [`${dir.path}/no/report.html`, "/dev/full"]) {
    const result = await vmexit("report", trace, "-o", target);
    assertEquals(result.code, 10, result.stderr);
    assertStringIncludes(lastLine(result), target);
  }
});

Deno.test("a page is not written to a terminal", async () => {
  using dir = new TempDir();
  const trace = dir.file("t.jsonl", TRACE);
  const { stdout } = await bash('script -qec "$VMEXIT report $1" /dev/null; echo " $?"', trace);
  assertStringIncludes(stdout, "-o report.html");
  assertStringIncludes(stdout, " 2");
});

Deno.test("a slip in --to is answered with the formats", async () => {
  const result = await vmexit("report", "--to", "pdf", "t.jsonl");
  assertEquals(result.code, 2);
  assertStringIncludes(result.stderr, "perfetto");
});
