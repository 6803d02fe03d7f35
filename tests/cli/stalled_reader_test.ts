/**
 * Readers that do not read: they must not keep a run from its timeout, nor from a signal.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { kvmTest } from "../lib/kvm.ts";
import { bash, image, TempDir } from "../lib/vmexit.ts";

/**
 * Prints 300,000 bytes, then halts; or prints without end.
 *
 *         mov dx, 0xe9
 *         mov ebx, 300
 *     1:  lea rsi, [rip + text]
 *         mov ecx, 1000
 *         rep outsb
 *         dec ebx
 *         jnz 1b          ; or jmp 1b
 *         cli
 *         hlt
 *     text:
 */
function printer(end: "halt" | "never"): Uint8Array<ArrayBuffer> {
  const jump = end === "halt" ? 0x75 : 0xeb;
  const code = [
    ...[0x66, 0xba, 0xe9, 0x00, 0xbb, 0x2c, 0x01, 0x00, 0x00],
    ...[0x48, 0x8d, 0x35, 0x0d, 0x00, 0x00, 0x00, 0xb9, 0xe8, 0x03, 0x00, 0x00],
    ...[0xf3, 0x6e, 0xff, 0xcb, jump, 0xee, 0xfa, 0xf4],
  ];
  const bytes = new Uint8Array(code.length + 1000).fill(0x79);
  bytes.set(code);
  return bytes;
}

const LOST = /^vmexit: warning: lost \d+ bytes of guest output to stdout: its reader /;

/** Makes $pipe, into which no byte more fits, and keeps it open at descriptor 3. */
const FULL_PIPE = 'mkfifo "$pipe"; exec 3<>"$pipe"; head -c 65536 /dev/zero >&3; ';

kvmTest(
  "a timeout ends a run whose reader neither reads nor closes, and says what is lost",
  async () => {
    using dir = new TempDir();
    const flood = dir.file("flood.bin64", printer("never"));
    const start = performance.now();
    const { stdout, lines } = await bash(
      `pipe=$2; ${FULL_PIPE} vmexit run -q --timeout 2s "$1" >"$pipe"; echo $?`,
      flood,
      `${dir.path}/pipe`,
    );
    assertEquals(stdout, "124\n");
    assertMatch(lines[0]!, LOST);
    assertEquals(lines.slice(1), ["vmexit: timeout after 2000 ms; exit code 124"]);
    assert(performance.now() - start < 8000);
  },
);

kvmTest("the same where stdout and stderr are one pipe, so that no message gets out", async () => {
  using dir = new TempDir();
  const flood = dir.file("flood.bin64", printer("never"));
  const { stdout } = await bash(
    `pipe=$2; ${FULL_PIPE} vmexit run --timeout 1s "$1" >"$pipe" 2>&1; echo $?`,
    flood,
    `${dir.path}/pipe`,
  );
  assertEquals(stdout, "124\n");
});

for (const signal of ["INT", "TERM"] as const) {
  kvmTest(`SIG${signal} ends a run whose reader neither reads nor closes`, async () => {
    using dir = new TempDir();
    const flood = dir.file("flood.bin64", printer("never"));
    const { stdout, lines } = await bash(
      `pipe=$2; ${FULL_PIPE} timeout --preserve-status -s ${signal} 2 ` +
        '"$VMEXIT" run -q "$1" >"$pipe"; echo $?',
      flood,
      `${dir.path}/pipe`,
    );
    assertEquals(stdout, "130\n");
    assertMatch(lines[0]!, LOST);
    assertEquals(lines.slice(1), [`vmexit: interrupted (SIG${signal}); exit code 130`]);
  });
}

kvmTest("a reader that begins in time for the rest loses nothing of it", async () => {
  using dir = new TempDir();
  const flood = dir.file("flood.bin64", printer("never"));
  const { stdout, lines } = await bash(
    `pipe=$2; ${FULL_PIPE} (sleep 2; timeout 3 cat <&3 | wc -c) & ` +
      'vmexit run -q --timeout 1500ms "$1" >"$pipe"; echo $?; wait',
    flood,
    `${dir.path}/pipe`,
  );
  const [code, bytes] = stdout.trim().split("\n").map(Number);
  assertEquals([code, lines], [124, ["vmexit: timeout after 1500 ms; exit code 124"]]);
  assert(bytes! > 65536);
});

kvmTest("a guest that ends by itself waits for a reader that is late", async () => {
  using dir = new TempDir();
  const much = dir.file("much.bin64", printer("halt"));
  const { stdout, stderr } = await bash(
    'vmexit run -q "$1" | { sleep 1.5; wc -c; }; echo ${PIPESTATUS[0]}',
    much,
  );
  assertEquals(stdout, "300000\n0\n");
  assertEquals(stderr, "vmexit: guest halted (HLT); exit code 0\n");
});

kvmTest("a timeout ends a run that waits for a reader at its end", async () => {
  using dir = new TempDir();
  const much = dir.file("much.bin64", printer("halt"));
  const { stdout, lines } = await bash(
    `pipe=$2; ${FULL_PIPE} vmexit run -q --timeout 4s "$1" >"$pipe"; echo $?`,
    much,
    `${dir.path}/pipe`,
  );
  assertEquals(stdout, "124\n");
  assertMatch(lines[0]!, LOST);
});

kvmTest("a trace into a named pipe that is not read stops no timeout", async () => {
  using dir = new TempDir();
  const flood = dir.file("flood.bin64", printer("never"));
  const { stdout, stderr } = await bash(
    `pipe=$2; ${FULL_PIPE} vmexit run --timeout 1s --trace-file "$pipe" "$1" >/dev/null; echo $?`,
    flood,
    `${dir.path}/trace`,
  );
  assertEquals(stdout, "124\n");
  assertEquals(stderr, "vmexit: timeout after 1000 ms; exit code 124\n");
});

kvmTest("so does a serial port into a named pipe that is not read", async () => {
  using dir = new TempDir();
  //     mov dx, 0x2f8
  // 1:  out dx, al
  //     jmp 1b
  const flood = dir.file("com2.bin64", new Uint8Array([0x66, 0xba, 0xf8, 0x02, 0xee, 0xeb, 0xfd]));
  const { stdout, stderr } = await bash(
    `pipe=$2; ${FULL_PIPE} vmexit run -q --timeout 1s --com2 "file:$pipe" "$1"; echo $?`,
    flood,
    `${dir.path}/com2`,
  );
  assertEquals(stdout, "124\n");
  assertMatch(stderr, /lost \d+ bytes of .*com2: its reader .*\nvmexit: timeout after 1000 ms/);
});

kvmTest(
  "a named pipe that no one reads stops no timeout, and gets all of it from who does",
  async () => {
    using dir = new TempDir();
    const { stdout } = await bash(
      `mkfifo "$2"
     vmexit run -q --timeout 1s --com1 "file:$2" "$1" 2>/dev/null; echo $?
     vmexit run --trace-file "$2" "$3" >/dev/null 2>&1 & sleep 1; grep -c '^#' "$2"; wait $!; echo $?`,
      image("spin.bin64"),
      `${dir.path}/pipe`,
      image("hello.elf"),
    );
    assertEquals(stdout, "124\n13\n0\n");
  },
);

kvmTest("a signal ends the tests though their report is not read", async () => {
  using dir = new TempDir();
  const tests = dir.file(
    "a.toml",
    `[[test]]\nname = "hello"\nimage = "${image("hello.elf")}"\nstdout = "Hello, KVM!\\n"\n`,
  );
  const { stdout } = await bash(
    `pipe=$2; ${FULL_PIPE} timeout --preserve-status -s INT 3 "$VMEXIT" test "$1" >"$pipe"; echo $?`,
    tests,
    `${dir.path}/pipe`,
  );
  assertEquals(stdout, "130\n");
});
