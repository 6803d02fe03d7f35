/**
 * The options of the PC: serial ports, fw_cfg, the choice of the machine.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { kvmTest } from "../lib/kvm.ts";
import { bash, image, lastLine, TempDir, vmexit } from "../lib/vmexit.ts";

const HELLO = image("hello.elf");
const ECHO = image("echo.bin64");
const SERIAL_IRQ = image("pc/serial-irq.bin16");
const FW_CFG = image("pc/fw-cfg.bin32");

kvmTest("COM1 takes its input from stdin, whatever the machine", async () => {
  const echo = await bash('printf "some input" | vmexit run -q "$1"', ECHO);
  assertEquals([echo.stdout, echo.code], ["some input", 0]);
  const script = 'printf "more than a FIFO of itq" | vmexit run -q --machine pc "$1"';
  const onPc = await bash(script, SERIAL_IRQ);
  assertEquals([onPc.stdout, onPc.code], ["ready\nmore than a FIFO of it", 0]);
});

kvmTest("much input arrives whole", async () => {
  const script = 'head -c 50000 /dev/zero | tr "\\0" x | vmexit run -q "$1" | wc -c';
  assertEquals((await bash(script, ECHO)).stdout.trim(), "50000");
});

kvmTest("a guest without input keeps running, from a closed stdin too", async () => {
  assertEquals((await bash('vmexit run -q "$1" <&-', ECHO)).code, 0);
  assertEquals((await bash('vmexit run -q "$1" </dev/null', ECHO)).code, 0);
});

kvmTest("COM1's output goes to a file, and none to stdout", async () => {
  using dir = new TempDir();
  const path = `${dir.path}/out`;
  const result = await vmexit("run", "-q", "--com1", `file:${path}`, HELLO);
  assertEquals([result.code, result.stdout], [0, ""]);
  assertEquals(Deno.readTextFileSync(path), "Hello, KVM!\n");
  assertEquals((await vmexit("run", "-q", "--com1", "null", HELLO)).stdout, "");
});

kvmTest("a file that takes no more ends the run with 10", async () => {
  const full = await vmexit("run", "-q", "--com1", "file:/dev/full", HELLO);
  assertEquals(full.code, 10);
  assertStringIncludes(lastLine(full), "/dev/full: No space left on device");
  const missing = await vmexit("run", "-q", "--com1", "file:/nonexistent/file", HELLO);
  assertEquals(missing.code, 10);
  assertMatch(lastLine(missing), /\/nonexistent\/file: No such file.*see --com1/);
});

kvmTest("a socket gets the output and gives the input", async () => {
  using dir = new TempDir();
  const path = `${dir.path}/socket`;
  using listener = Deno.listen({ transport: "unix", path });
  const run = vmexit("run", "-q", "--machine", "pc", "--com1", `unix:${path}`, SERIAL_IRQ);
  using connection = await listener.accept();
  let received = "";
  const read = async (): Promise<boolean> => {
    const bytes = new Uint8Array(100);
    const count = await connection.read(bytes);
    received += new TextDecoder().decode(bytes.subarray(0, count ?? 0));
    return count !== null;
  };
  while (!received.includes("ready\n")) await read();
  await connection.write(new TextEncoder().encode("via a socketq"));
  while (await read());
  assertEquals(received, "ready\nvia a socket");
  assertEquals((await run).code, 0);
});

kvmTest("a pseudo-terminal's path is told, in text and in JSON", async () => {
  const text = await vmexit("run", "-q", "--com2", "pty", HELLO);
  assertMatch(text.lines[0]!, /^vmexit: COM2 is at \/dev\/pts\/\d+$/);
  const json = await vmexit("run", "-q", "--format", "json", "--com4", "pty", HELLO);
  const { type, message } = JSON.parse(json.lines[0]!);
  assertEquals(type, "warning");
  assertMatch(message, /^COM4 is at \/dev\/pts\/\d+$/);
});

Deno.test("what a port cannot be connected with is refused", async () => {
  for (const value of ["bogus", "file", "file:", "unix:", "pty:x", "stdio:x", "null:"]) {
    const { code, stderr } = await vmexit("run", "--com3", value, HELLO);
    assertEquals(code, 2, value);
    assertEquals(
      stderr,
      `vmexit: --com3: "${value}" is none of stdio, file:PATH, pty, unix:PATH, null\n`,
    );
  }
  const twice = await vmexit("run", "--com2", "stdio", "--com4", "stdio", HELLO);
  assertEquals([twice.code, twice.stderr], [
    2,
    "vmexit: --com2 and --com4 are both stdio; only one port can be\n",
  ]);
  const long = await vmexit("run", "--com1", `unix:${"x".repeat(200)}`, HELLO);
  assertEquals(long.code, 2);
  assertStringIncludes(long.stderr, "107 bytes");
});

kvmTest("stdio is the port's that wants it, and COM1's otherwise", async () => {
  const result = await vmexit("run", "-q", "--com2", "stdio", HELLO);
  assertEquals([result.code, result.stdout], [0, ""]);
});

kvmTest("fw_cfg has files and texts from the command line, and the kernel's own", async () => {
  using dir = new TempDir();
  const path = dir.file("greeting", "from a file");
  for (
    const [value, greeting] of [
      [`opt/greeting,file=${path}`, "from a file"],
      ["opt/greeting,string=a, b=c", "a, b=c"],
      ["opt/greeting,string=", ""],
    ]
  ) {
    const args = ["run", "-q", "--machine", "pc", "-a", "x=1", "--fw-cfg", value!, FW_CFG];
    const { stdout, stderr, code } = await vmexit(...args);
    assertEquals(stdout, `QEMU\nid=00000003\ncpus=0001\nram=00000080\nx=1\n${greeting}\n`);
    assertEquals([stderr, code], ["vmexit: guest halted (HLT); exit code 0\n", 0]);
  }
});

kvmTest("files that fw_cfg cannot offer are refused", async () => {
  const attempt = async (...values: string[]): Promise<[number, string]> => {
    const options = values.flatMap((value) => ["--fw-cfg", value]);
    const { code, stderr } = await vmexit("run", "--machine", "pc", ...options, HELLO);
    return [code, stderr];
  };
  const [code, stderr] = await attempt("opt/x");
  assertEquals(code, 2);
  assertStringIncludes(stderr, 'vmexit: --fw-cfg: "opt/x" is not a file for fw_cfg; write it as');
  assertEquals(await attempt("a,string=", "a,string="), [
    2,
    'vmexit: --fw-cfg: "a" is given twice\n',
  ]);
  assertEquals((await attempt("a,file=/nonexistent"))[0], 4);
  assertEquals((await attempt(`${"x".repeat(56)},string=`))[0], 2);
});

kvmTest("a bare machine has no fw_cfg, and says so", async () => {
  const { code, lines } = await vmexit("run", "-q", "--fw-cfg", "a,string=b", HELLO);
  assertEquals(code, 0);
  assertEquals(
    lines[0],
    "vmexit: warning: --fw-cfg has no meaning for a bare machine; give it --machine pc",
  );
});

kvmTest("kernels with a boot protocol run on a PC unless told otherwise", async () => {
  const reasons = async (...args: string[]): Promise<Record<string, number>> => {
    const { lines } = await vmexit("run", "--trace", "hlt", "--format", "json", ...args);
    return JSON.parse(lines.at(-1)!).by_reason;
  };
  assertEquals(await reasons(image("hello.mb")), { IO: 22 });
  assertEquals(await reasons("--machine", "bare", image("hello.mb")), { IO: 22, HLT: 1 });
  assertEquals(await reasons(HELLO), { IO: 12, HLT: 1 });
  assertEquals(await reasons("--machine", "pc", HELLO), { IO: 12 });
});

kvmTest("an image that overwrites a PC's tables runs with a warning", async () => {
  const args = ["--boot", "flat32", "--load-address", "0xf0000", image("hello.bin32")];
  const { code, stderr } = await vmexit("run", "-q", "--machine", "pc", ...args);
  assertEquals(code, 0);
  assertMatch(stderr, /^vmexit: warning: image overwrites the firmware's RSDP at 0xf0000$/m);
  const bare = await vmexit("run", "-q", ...args);
  assert(!bare.stderr.includes("warning"), "a bare machine has none");
});

kvmTest("a panic and a power-off have their words and codes", async () => {
  using dir = new TempDir();
  const guest = (...bytes: number[]): string => dir.file("guest.bin16", new Uint8Array(bytes));
  const args = ["run", "-q", "--machine", "pc"];
  const panic = await vmexit(...args, guest(0xba, 0x05, 0x05, 0xb0, 0x01, 0xee, 0xf4));
  assertEquals([panic.code, lastLine(panic)], [
    34,
    "vmexit: guest panicked (pvpanic); exit code 34",
  ]);
  const off = await vmexit(...args, guest(0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xf4));
  assertEquals([off.code, lastLine(off)], [0, "vmexit: guest powered off; exit code 0"]);
});
