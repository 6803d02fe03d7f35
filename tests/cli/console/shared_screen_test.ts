import { assertEquals } from "@std/assert";
import { SharedScreen } from "../../../src/cli/console/shared_screen.ts";
import { kvmTest } from "../../lib/kvm.ts";
import { bash, TempDir } from "../../lib/vmexit.ts";

/** A screen, and a stream to it that has limited room. */
function screen() {
  const shown: string[] = [];
  const stream = {
    room: Infinity,
    writeSync(bytes: Uint8Array): number {
      const count = Math.min(bytes.length, this.room);
      this.room -= count;
      shown.push(new TextDecoder().decode(bytes.subarray(0, count)));
      return count;
    },
  };
  return { shown, stream };
}

const bytesOf = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

Deno.test("a message begins on its own line", () => {
  const { shown, stream } = screen();
  const shared = new SharedScreen();
  const stdout = shared.forGuest(stream);
  const stderr = shared.forMessages(stream, () => {});
  stderr.writeSync(bytesOf("a\n"));
  stdout.writeSync(bytesOf("login: "));
  stderr.writeSync(bytesOf("b\n"));
  stderr.writeSync(bytesOf("c\n"));
  stdout.writeSync(bytesOf("done\n"));
  stderr.writeSync(bytesOf("d\n"));
  assertEquals(shown.join(""), "a\nlogin: \nb\nc\ndone\nd\n");
});

Deno.test("guest output waits for the end of a message that is half written", () => {
  const { shown, stream } = screen();
  const shared = new SharedScreen();
  const stdout = shared.forGuest(stream);
  const stderr = shared.forMessages(stream, () => stderr.writeSync(bytesOf("d\n")));
  stream.room = 3;
  assertEquals(stderr.writeSync(bytesOf("abcd\n")), 3);
  assertEquals(stdout.writeSync(bytesOf("x")), 0);
  stream.room = Infinity;
  assertEquals(stdout.writeSync(bytesOf("x")), 1);
  assertEquals(shown.join(""), "abcd\nx");
});

Deno.test("a message waits for the end of another that is half written", () => {
  const { shown, stream } = screen();
  const shared = new SharedScreen();
  const trace = shared.forMessages(stream, () => trace.writeSync(bytesOf("d\n")));
  const stderr = shared.forMessages(stream, () => {});
  stream.room = 3;
  trace.writeSync(bytesOf("abcd\n"));
  assertEquals(stderr.writeSync(bytesOf("x\n")), 0);
  stream.room = Infinity;
  assertEquals(stderr.writeSync(bytesOf("x\n")), 2);
  assertEquals(shown.join(""), "abcd\nx\n");
});

Deno.test("without room for the line's end a message waits", () => {
  const { shown, stream } = screen();
  const shared = new SharedScreen();
  const stdout = shared.forGuest(stream);
  const stderr = shared.forMessages(stream, () => {});
  stdout.writeSync(bytesOf("x"));
  stream.room = 0;
  assertEquals(stderr.writeSync(bytesOf("a\n")), 0);
  stream.room = Infinity;
  assertEquals(stderr.writeSync(bytesOf("a\n")), 2);
  assertEquals(shown.join(""), "x\na\n");
});

kvmTest("a message never starts on an unfinished line of the guest", async () => {
  using dir = new TempDir();
  // Prints "fla" to the debug console and halts.
  const code = [0x66, 0xba, 0xe9, 0x00, 0xb0, 0x66, 0xee, 0xb0, 0x6c, 0xee, 0xb0, 0x61, 0xee];
  const fla = dir.file("fla.bin64", new Uint8Array([...code, 0xf4]));
  const last = "vmexit: guest halted (HLT); exit code 0\n";
  assertEquals((await bash('vmexit run -q "$1" 2>&1', fla)).stdout, `fla\n${last}`);
  const apart = await bash('vmexit run -q "$1"', fla);
  assertEquals([apart.stdout, apart.stderr], ["fla", last]);
  const file = `${dir.path}/both`;
  await bash('vmexit run -q "$1" >"$2" 2>&1', fla, file);
  assertEquals(Deno.readTextFileSync(file), `fla\n${last}`);
  const { stdout } = await bash('vmexit run "$1" 2>&1 | grep -c "fla."', fla);
  assertEquals(stdout, "0\n", "nor exits");
});
