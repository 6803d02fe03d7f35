/**
 * The console: `vmexit run` at a terminal, and at a pipe.
 *
 * @module
 */

import { assert, assertEquals, assertFalse, assertLess, assertStringIncludes } from "@std/assert";
import { code } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";
import { Terminal } from "../lib/terminal.ts";
import { bash, image, lastLine, PROJECT, TempDir } from "../lib/vmexit.ts";

/** Waits for input in HLT inside the kernel, and sends it back until a q. */
const ECHO = `--machine pc ${image("pc/serial-irq.bin16")}`;
/** Looks for input all the time, and sends it back until a q. */
const POLL = code(
  "ba fd 03 ec a8 01 74 f8 " + // mov dx, 0x3fd; in al, dx; test al, 1; jz back
    "ba f8 03 ec 3c 71 74 03 ee eb ed " + // mov dx, 0x3f8; in al, dx; cmp al, 'q'; out; jmp back
    "f4",
);
/** `mov dx, 0x3f8; mov al, 'R'; out dx, al; mov al, '\n'; out dx, al; jmp $` */
const PRINT = code("ba f8 03 b0 52 ee b0 0a ee eb fe");
const GREETING = "the guest reads what is typed; Ctrl-A x quits, Ctrl-A h helps";
/** Becomes `vmexit run`, and tells the process's id before. */
const RUN = `sh -c 'echo pid=$$; exec "$VMEXIT" run -q "$@"' sh --timeout`;
const LIMIT = "60s";

function signal(terminal: Terminal, name: Deno.Signal): void {
  Deno.kill(Number(/pid=(\d+)/.exec(terminal.screen)![1]), name);
}

/** The ways out, what the last line says of them, and what the command line has for them. */
const WAYS_OUT: Record<
  string,
  { go(terminal: Terminal): void; words: string; limit?: string; redirect?: string }
> = {
  "the guest's end": { go: (terminal) => terminal.type("q"), words: "" },
  "Ctrl-A x": { go: (terminal) => terminal.type("\x01x"), words: "quit with Ctrl-A x" },
  "a timeout": { go: () => {}, words: "timeout after 2000 ms", limit: "2s" },
  "a failure of stdout": {
    go: (terminal) => terminal.type("a"),
    words: "No space left",
    redirect: ">/dev/full",
  },
};
for (const name of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const) {
  WAYS_OUT[name] = {
    go: (terminal) => signal(terminal, name),
    words: `interrupted (${name}); exit code 130`,
  };
}

for (const [name, { go, words, limit = LIMIT, redirect = "" }] of Object.entries(WAYS_OUT)) {
  kvmTest(`the terminal is raw for a guest that reads it, and restored after ${name}`, async () => {
    using terminal = new Terminal();
    const flags = "grep flags: /proc/self/fdinfo/0";
    const child = terminal.start(
      `${flags}; ${RUN} ${limit} ${ECHO} ${redirect}; echo done; ${flags}; echo end`,
    );
    terminal.expect(GREETING);
    assertFalse(terminal.isEveryday);
    go(terminal);
    terminal.expect("done");
    assert(terminal.isEveryday, terminal.screen);
    terminal.expect("end");
    assertStringIncludes(terminal.screen, words);
    const [before, after] = terminal.screen.match(/flags:.*/g)!;
    assertEquals(after, before, "the open file behind stdin is as it was");
    await child.status;
  });
}

for (const way of ["Deno.exit(3)", "setTimeout(() => { throw 1 })", "Promise.reject(1)"]) {
  Deno.test(`the terminal is restored after ${way}`, async () => {
    using dir = new TempDir();
    using terminal = new Terminal();
    const program = dir.file(
      "program.ts",
      `import { RawTerminal } from "${PROJECT}src/cli/console/raw_terminal.ts";
       const terminal = new RawTerminal(0, (isRaw) => console.log(isRaw ? "raw" : "restored"));
       terminal.enter();
       ${way};`,
    );
    const deno = `"${Deno.execPath()}" run -A --no-config "${program}"`;
    const child = terminal.start(`${deno}; echo done`);
    terminal.expect("done");
    assertStringIncludes(terminal.screen, "raw\r\nrestored\r\n");
    assert(terminal.isEveryday);
    await child.status;
  });
}

kvmTest("what is typed reaches the guest at once, while it halts inside the kernel", async () => {
  const keys = 50;
  using terminal = new Terminal();
  const child = terminal.start(`${RUN} ${LIMIT} ${ECHO}`);
  terminal.expect("ready");
  const start = performance.now();
  for (let i = 0; i < keys; i++) {
    const before = terminal.screen.length;
    terminal.type("k");
    terminal.expect(() => terminal.screen.length > before);
  }
  assertLess(performance.now() - start, keys * 50, "looking for input every 100 ms takes longer");
  terminal.type("q");
  await child.status;
});

kvmTest("Ctrl-C, Ctrl-D, Ctrl-Z and Ctrl-\\ are for the guest, as is Ctrl-A c", async () => {
  using terminal = new Terminal();
  const child = terminal.start(`${RUN} ${LIMIT} ${ECHO}`);
  terminal.expect("ready");
  terminal.type("\x03\x04\x1a\x1c\x01c\r\n\x11\x13.");
  terminal.expect("ready\r\n\x03\x04\x1a\x1c\x01\r\r\n\x11\x13.");
  terminal.type("q");
  assertEquals((await child.status).code, 0);
});

kvmTest("Ctrl-A h explains the keys, and the guest sees none of it", async () => {
  using terminal = new Terminal();
  const child = terminal.start(`${RUN} ${LIMIT} ${ECHO}`);
  terminal.expect("ready\r\n");
  terminal.type("\x01h");
  terminal.expect(
    "ready\r\nvmexit: Ctrl-A x quits, Ctrl-A c sends Ctrl-A to the guest, Ctrl-A h shows this\r\n",
  );
  terminal.type("q");
  assertEquals((await child.status).code, 0);
});

kvmTest("a guest that polls for input has a raw terminal too", async () => {
  using dir = new TempDir();
  using terminal = new Terminal();
  const child = terminal.start(`${RUN} ${LIMIT} ${dir.file("poll.bin16", POLL)}`);
  terminal.expect(GREETING);
  assertFalse(terminal.isEveryday);
  terminal.type("typed");
  terminal.expect("typed");
  terminal.type("q");
  assertEquals((await child.status).code, 0);
  assert(terminal.isEveryday);
});

kvmTest("Ctrl-C ends a guest that only prints", async () => {
  using dir = new TempDir();
  using terminal = new Terminal();
  // Ctrl-C is for the shell, too.
  const child = terminal.start(
    `trap : INT; ${RUN} ${LIMIT} ${dir.file("print.bin16", PRINT)}; echo code=$?`,
  );
  terminal.expect("R\r\n");
  assert(terminal.isEveryday);
  terminal.type("\x03");
  terminal.expect("interrupted (SIGINT)");
  terminal.expect("code=130");
  await child.status;
  assertFalse(terminal.screen.includes(GREETING));
});

kvmTest("what is typed ahead while a guest only prints is left for the shell", async () => {
  using dir = new TempDir();
  using terminal = new Terminal();
  const guest = dir.file("print.bin16", PRINT);
  const child = terminal.start(`${RUN} 1s ${guest}; read line; echo "line=$line"`);
  terminal.expect("R\r\n");
  terminal.type("ahead\n");
  terminal.expect("line=ahead");
  await child.status;
});

kvmTest("in the background the terminal is left alone, and taken in the foreground", async () => {
  using terminal = new Terminal();
  const child = terminal.start(
    `set -m; ${RUN} ${LIMIT} ${ECHO} & read; fg >/dev/null; echo code=$?`,
  );
  terminal.expect("ready");
  assert(terminal.isEveryday);
  terminal.type("\n");
  terminal.expect(GREETING);
  terminal.type("inputq");
  terminal.expect("input");
  terminal.expect("code=0");
  await child.status;
  assert(terminal.isEveryday);
});

for (const name of ["SIGTSTP", "SIGSTOP"] as const) {
  kvmTest(
    `${name} stops the run, and it resumes in the foreground with a raw terminal`,
    async () => {
      using terminal = new Terminal();
      const child = terminal.start(
        `mode=$(stty -g); set -m; ${RUN} ${LIMIT} ${ECHO}; stty $mode; echo stopped; read; ` +
          "fg >/dev/null; echo code=$?",
      );
      terminal.expect("ready");
      signal(terminal, name);
      terminal.expect("stopped\r\n");
      assert(terminal.isEveryday);
      terminal.type("\n");
      terminal.expect(() => !terminal.isEveryday);
      terminal.type("againq");
      terminal.expect("again");
      terminal.expect("code=0");
      await child.status;
    },
  );
}

kvmTest("a terminal that goes away ends the run", async () => {
  const terminal = new Terminal();
  const child = terminal.start(`${RUN} ${LIMIT} ${ECHO}`);
  terminal.expect("ready");
  terminal[Symbol.dispose]();
  assertEquals((await child.status).success, false);
});

kvmTest(
  "a pipe is input, keys for vmexit are not looked for in it, and its end is no end",
  async () => {
    const run = `vmexit run -q --machine pc --timeout 2s "$1"`;
    const ends = await bash(`printf 'foo\\001xq' | ${run}`, image("pc/serial-irq.bin16"));
    assertEquals([ends.code, ends.stdout], [0, "ready\nfoo\x01x"]);
    const polls = await bash(`echo foo | vmexit run -q "$1"`, image("echo.bin64"));
    assertEquals([polls.code, polls.stdout], [0, "foo\n"]);
    const waits = await bash(`echo foo | ${run}`, image("pc/serial-irq.bin16"));
    assertEquals([waits.code, waits.stdout], [124, "ready\nfoo\n"]);
  },
);

for (const redirect of ["</dev/null", "<&-", "</etc", "< <(:)"]) {
  kvmTest(`no input at all (${redirect}) is neither a hang nor a busy loop`, async () => {
    const result = await bash(
      `TIMEFORMAT='cpu %U %S'; time vmexit run -q --machine pc --timeout 2s "$1" ${redirect}`,
      image("pc/serial-irq.bin16"),
    );
    assertEquals(result.stdout, "ready\n");
    const [, user, system] = /cpu (\S+) (\S+)/.exec(lastLine(result))!;
    assertStringIncludes(result.stderr, "timeout after 2000 ms; exit code 124");
    assertLess(Number(user) + Number(system), 1.5, "seconds of processor time in 2 s");
  });
}
