/**
 * How runs end: by the guest, by a limit, by a signal, by the reader of its output.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { code } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";
import { readTrace } from "../lib/trace_schema.ts";
import { bash, image, lastLine, linesOf, TempDir, VMEXIT, vmexit } from "../lib/vmexit.ts";

/** `mov dx, 0x3f8; mov al, 'R'; out dx, al; mov al, '\n'; out dx, al` */
const SAY_READY = "ba f8 03 b0 52 ee b0 0a ee";
/** `jmp $` */
const SPIN = "eb fe";
/** `sti; hlt; jmp back`: halts in the kernel where there is an interrupt controller. */
const HALT = "fb f4 eb fd";
/** `mov dx, 0xe9; mov al, 'x'; out dx, al; jmp back` */
const WRITE_FOR_EVER = "ba e9 00 b0 78 ee eb fd";
/** Ends a test whose guest ought to have ended long before. */
const LIMIT = ["--timeout", "20s"];

for (
  const [name, options] of [
    ["spins", ["spin.bin64"]],
    ["is halted in the kernel", ["pc/idle.bin16", "--machine", "pc"]],
  ] as const
) {
  kvmTest(`--timeout ends a guest that ${name}`, async () => {
    const [file, ...more] = options;
    const args = ["run", ...more, "--timeout", "250ms", "--format", "json", image(file)];
    const { code, lines } = await vmexit(...args);
    assertEquals(code, 124);
    const outcome = readTrace(lines).at(-1)!;
    assertEquals([outcome.kind, outcome.message], ["timeout", "timeout after 250 ms"]);
    assert(outcome.t_us >= 250_000 && outcome.t_us < 10_000_000, `${outcome.t_us} µs`);
  });
}

kvmTest("--timeout leaves a guest alone that ends before", async () => {
  assertEquals((await vmexit("run", "-q", "--timeout", "1h", image("hello.elf"))).code, 0);
});

kvmTest(
  "--max-exits ends the run after that many exits, and not a guest that ends by then",
  async () => {
    const early = await vmexit("run", "--max-exits", "3", image("hello.elf"));
    assertEquals([early.code, early.stdout], [30, "Hel"]);
    assertEquals(early.lines.filter((line) => line.startsWith("#")).length, 3);
    assertStringIncludes(lastLine(early), "stopped after 3 exits (--max-exits)");
    assertEquals((await vmexit("run", "--max-exits", "12", image("hello.elf"))).code, 30);
    assertEquals((await vmexit("run", "--max-exits", "13", image("hello.elf"))).code, 0);
  },
);

for (
  const [value, expected] of [[0, 1], [1, 3], [0x10, 33], [0x7f, 255], [0x80, 1], [0xff, 255]]
) {
  kvmTest(`a guest that writes ${value} to the debug-exit port ends with ${expected}`, async () => {
    using dir = new TempDir();
    // mov al, VALUE; out 0xf4, al
    const path = dir.file("exit.bin16", new Uint8Array([0xb0, value!, 0xe6, 0xf4]));
    const result = await vmexit("run", "-q", path);
    assertEquals(result.code, expected);
    assertMatch(lastLine(result), new RegExp(`wrote 0x${value!.toString(16)} to .* ${expected}$`));
  });
}

kvmTest("the debug-exit port takes words, of which the exit code keeps the low bits", async () => {
  using dir = new TempDir();
  // mov ax, 0x1234; out 0xf4, ax
  const path = dir.file("exit.bin16", code("b8 34 12 e7 f4"));
  assertEquals((await vmexit("run", "-q", path)).code, 0x69);
});

/** Starts a guest, waits for its first line of output, and sends it a signal. */
async function interrupt(signal: Deno.Signal, guest: string, ...options: string[]) {
  using dir = new TempDir();
  const path = dir.file("guest.bin16", code(guest));
  const child = new Deno.Command(VMEXIT, {
    args: ["run", ...LIMIT, ...options, path],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  assertEquals(new TextDecoder().decode((await reader.read()).value), "R\n");
  child.kill(signal);
  const [stderr, status, rest] = await Promise.all([
    new Response(child.stderr).text(),
    child.status,
    reader.read(),
  ]);
  assert(rest.done);
  return { status, lines: linesOf(stderr) };
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  kvmTest(`${signal} ends a spinning guest with a summary and exit code 130`, async () => {
    const { status, lines } = await interrupt(signal, `${SAY_READY} ${SPIN}`);
    assertEquals([status.code, status.signal], [130, null]);
    assert(lines.some((line) => line.startsWith("--- 2 exits in ")), lines.join("\n"));
    assertEquals(lines.at(-1), `vmexit: interrupted (${signal}); exit code 130`);
  });
}

kvmTest("a signal is noticed whenever it comes", async () => {
  for (let i = 0; i < 10; i++) {
    const { status, lines } = await interrupt("SIGINT", `${SAY_READY} ${SPIN}`);
    assertEquals(status.code, 130, lines.join("\n"));
    const [, elapsedMs] = /^--- 2 exits in ([\d.]+) ms/.exec(
      lines.find((line) => line.startsWith("--- "))!,
    )!;
    // A slice is 0.2 s; a signal that is missed is noticed after seconds, or by the timeout.
    assert(Number(elapsedMs) < 2000, lines.join("\n"));
  }
});

kvmTest("SIGINT ends a guest that is halted in the kernel", async () => {
  const { status, lines } = await interrupt(
    "SIGINT",
    `${SAY_READY} ${HALT}`,
    ...["--machine", "pc", "--format", "json"],
  );
  assertEquals(status.code, 130);
  const outcome = readTrace(lines).at(-1)!;
  assertEquals([outcome.kind, outcome.signal], ["interrupted", "SIGINT"]);
});

kvmTest("a closed stdout ends a guest that writes for ever, with exit code 0", async () => {
  using dir = new TempDir();
  const path = dir.file("endless.bin16", code(WRITE_FOR_EVER));
  const run = `vmexit run -q ${LIMIT.join(" ")} "$1" | head -c 3; echo " \${PIPESTATUS[0]}"`;
  const { stdout, lines } = await bash(run, path);
  assertEquals(stdout, "xxx 0\n");
  assertEquals(lines, ["vmexit: the reader closed the output; exit code 0"]);
});

kvmTest("a guest that is done when stdout turns out closed keeps its exit code", async () => {
  using dir = new TempDir();
  // mov al, 'x'; out 0xe9, al; mov al, 0x21; out 0xf4, al
  const path = dir.file("guest.bin16", code("b0 78 e6 e9  b0 21 e6 f4"));
  // The reader is gone before the guest starts.
  const run = 'exec 3> >(:); wait $!; vmexit run -q "$1" >&3';
  assertEquals((await bash(run, path)).code, 67);
});

kvmTest("a closed stderr ends a guest that is traced for ever, with exit code 0", async () => {
  using dir = new TempDir();
  const path = dir.file("endless.bin16", code(WRITE_FOR_EVER));
  const run = `vmexit run ${
    LIMIT.join(" ")
  } "$1" 2>&1 >/dev/null | head -1; echo "\${PIPESTATUS[0]}"`;
  const { stdout } = await bash(run, path);
  assertMatch(stdout, /^#1 \+.*IO out port=0xe9 .*\n0\n$/);
});

kvmTest("with stdout and stderr closed at once the run ends quietly", async () => {
  const run = 'vmexit run "$1" 2>&1 | head -1 >/dev/null; echo "${PIPESTATUS[0]}"';
  const { stdout, stderr } = await bash(run, image("storm-debugcon.bin64"));
  assertEquals([stdout, stderr], ["0\n", ""]);
});

kvmTest("a run that has no stdout and no stderr at all works", async () => {
  assertEquals((await bash('vmexit run "$1" >&- 2>&-', image("exit.bin64"))).code, 67);
});

kvmTest("a full disk behind stdout is exit code 10, in text and in JSON", async () => {
  const text = await bash('vmexit run "$1" >/dev/full', image("hello.elf"));
  assertEquals(text.code, 10);
  assertMatch(
    lastLine(text),
    /cannot write guest output to stdout: No space left .*; exit code 10/,
  );
  const run = 'vmexit run --format json "$1" >/dev/full';
  const json = await bash(run, image("storm-debugcon.bin64"));
  assertEquals(json.code, 10);
  assertEquals(readTrace(json.lines).at(-1)!.kind, "output_failed");
});

kvmTest("a full disk behind stderr is exit code 10", async () => {
  const { code, stdout } = await bash('vmexit run "$1" 2>/dev/full', image("hello.elf"));
  assertEquals([code, stdout], [10, "Hello, KVM!\n"]);
});

for (const name of ["hello.elf", "storm.bin64"]) {
  kvmTest(`a full disk behind --trace-file is exit code 10: ${name}`, async () => {
    const result = await vmexit("run", "--trace-file", "/dev/full", image(name));
    assertEquals(result.code, 10);
    assertEquals(result.lines, [
      "vmexit: cannot write /dev/full: No space left on device (ENOSPC); exit code 10",
    ]);
  });
}

kvmTest("a reader of the trace file that goes away ends the run with exit code 0", async () => {
  const run = 'vmexit run --trace-file >(head -1 >/dev/null) "$1"';
  const { code, lines } = await bash(run, image("storm.bin64"));
  assertEquals(code, 0);
  assertEquals(lines, ["vmexit: the reader closed the output; exit code 0"]);
});
