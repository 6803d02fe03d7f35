import { assert, assertEquals, assertThrows } from "@std/assert";
import { fileIdentity } from "../../ffi/file_status.ts";
import { close, O_RDWR, open, read } from "../../ffi/libc.ts";
import { NonblockingStream } from "../../ffi/nonblocking_stream.ts";
import { openPty } from "../../ffi/streams.ts";
import { TempDir } from "../lib/vmexit.ts";

const BYTES = new Uint8Array(8192).fill(0x79);

/** Writes until there is no room. @returns the number of bytes */
function fill(stream: NonblockingStream): number {
  let written = 0;
  for (;;) {
    const count = stream.writeSync(BYTES);
    if (count === 0) return written;
    written += count;
  }
}

Deno.test("a pipe takes what it has room for, and a write never waits", async () => {
  using dir = new TempDir();
  const path = `${dir.path}/pipe`;
  assert((await new Deno.Command("mkfifo", { args: [path] }).output()).success);
  const fd = open(path, O_RDWR);
  const stream = new NonblockingStream(fd);
  assertEquals(stream.file.type, "pipe");
  assertEquals(fill(stream), 65536);
  assertEquals(stream.waitForRoom(0), false);
  read(fd, new Uint8Array(8192));
  assertEquals(stream.waitForRoom(0), true);
  assertEquals(fill(stream), 8192);
  stream[Symbol.dispose]();
  close(fd);
});

Deno.test("a terminal takes what it has room for", () => {
  const { fd, path } = openPty();
  const terminal = open(path, O_RDWR);
  using stream = new NonblockingStream(terminal);
  assertEquals(stream.file.type, "character");
  assert(fill(stream) > 0);
  while (stream.waitForRoom(50)) fill(stream); // what is on its way to the other end makes room
  assertEquals(stream.writeSync(BYTES), 0);
  close(terminal);
  close(fd);
});

Deno.test("a socket takes what it has room for", () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using dir = new TempDir();
  const script = `
    import { NonblockingStream } from "${import.meta.resolve("../../ffi/nonblocking_stream.ts")}";
    const stream = new NonblockingStream(1);
    let written = 0;
    for (let count; (count = stream.writeSync(new Uint8Array(10_000))) > 0;) written += count;
    console.error(stream.file.type, written > 0, stream.waitForRoom(0));
  `;
  const path = dir.file("write.ts", script);
  // bash opens the connection, which has no reader.
  const { stderr } = new Deno.Command("bash", {
    args: [
      "-c",
      'exec "$0" run --quiet -A "$1" >"/dev/tcp/127.0.0.1/$2"',
      Deno.execPath(),
      path,
      String((listener.addr as Deno.NetAddr).port),
    ],
    stdout: "null",
  }).outputSync();
  listener.close();
  assertEquals(new TextDecoder().decode(stderr), "socket true false\n");
});

Deno.test("a file takes all, and a full device is an error in words", () => {
  using dir = new TempDir();
  const file = open(dir.file("file", ""), O_RDWR);
  using stream = new NonblockingStream(file);
  assertEquals([stream.file.type, stream.writeSync(BYTES)], ["disk", 8192]);
  close(file);
  const device = open("/dev/full", O_RDWR);
  using full = new NonblockingStream(device);
  assertThrows(() => full.writeSync(BYTES), Error, "No space left on device (os error 28)");
  close(device);
});

Deno.test("descriptors of one file are known as such", () => {
  using dir = new TempDir();
  const [a, b] = [dir.file("a", ""), dir.file("b", "")];
  const [first, again, other] = [open(a, O_RDWR), open(a, O_RDWR), open(b, O_RDWR)];
  assertEquals(fileIdentity(first), fileIdentity(again));
  assert(fileIdentity(first).key !== fileIdentity(other).key);
  [first, again, other].forEach(close);
});
