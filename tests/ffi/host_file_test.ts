import { assert, assertEquals, assertThrows } from "@std/assert";
import { SystemError } from "../../ffi/libc.ts";
import { HostFile, readHostFile } from "../../ffi/host_file.ts";
import { TempDir } from "../lib/vmexit.ts";

Deno.test("a file is read whole, whatever its size", () => {
  using dir = new TempDir();
  for (const size of [0, 1, 65535, 65536, 65537, 200_000]) {
    const bytes = Uint8Array.from({ length: size }, (_, i) => i * 7);
    assertEquals(readHostFile(dir.file("file", bytes), 1 << 20), bytes);
  }
});

Deno.test("files whose size cannot be seen are read whole too", () => {
  const status = new TextDecoder().decode(readHostFile("/proc/self/status", 1 << 20));
  assertEquals(status.startsWith("Name:"), true);
  assertEquals(readHostFile("/dev/null", 16)?.length, 0);
});

Deno.test("more than the limit is not read", () => {
  using dir = new TempDir();
  const path = dir.file("file", new Uint8Array(1000));
  assertEquals(readHostFile(path, 1000)?.length, 1000);
  assertEquals(readHostFile(path, 999), undefined);
  assertEquals(readHostFile("/dev/zero", 100_000), undefined);
});

Deno.test("what cannot be read is an error with its errno", () => {
  for (const [path, code] of [["/nonexistent", "ENOENT"], ["/", "EISDIR"]]) {
    assertEquals(assertThrows(() => readHostFile(path!, 16), SystemError).code, code);
  }
});

Deno.test("a new file begins empty, and takes what is written in order", () => {
  using dir = new TempDir();
  const path = dir.file("file", "what was there before");
  {
    using file = new HostFile(path);
    assertEquals(file.writeSync(new Uint8Array([1, 2, 3]).subarray(1)), 2);
    file.writeSync(new Uint8Array([4]));
  }
  assertEquals(Deno.readFileSync(path), new Uint8Array([2, 3, 4]));
});

Deno.test("a new file has the rights that the umask leaves", () => {
  using dir = new TempDir();
  const path = `${dir.path}/new`;
  const umask = Deno.umask();
  using _file = new HostFile(path);
  assertEquals(Deno.statSync(path).mode! & 0o777, 0o666 & ~umask);
});

Deno.test("a device that is full is an error in words", () => {
  using file = new HostFile("/dev/full");
  const write = () => file.writeSync(new Uint8Array([1]));
  assertThrows(write, Error, "No space left on device (ENOSPC)");
});

Deno.test("a reader that closed its end is distinguished from other errors", async () => {
  using dir = new TempDir();
  const path = `${dir.path}/pipe`;
  assert((await new Deno.Command("mkfifo", { args: [path] }).output()).success);
  // Opened for both directions, a FIFO does not wait for its other side.
  const reader = Deno.openSync(path, { read: true, write: true });
  using writer = new HostFile(path);
  assertEquals(writer.writeSync(new Uint8Array([1])), 1);
  reader.close();
  assertThrows(() => writer.writeSync(new Uint8Array([1])), Deno.errors.BrokenPipe);
});

Deno.test("a named pipe without a reader would block, until there is one", async () => {
  using dir = new TempDir();
  const path = `${dir.path}/pipe`;
  assert((await new Deno.Command("mkfifo", { args: [path] }).output()).success);
  using writer = new HostFile(path);
  assertThrows(() => writer.writeSync(new Uint8Array([1])), Deno.errors.WouldBlock);
  assertEquals(writer.waitForRoom(30), false);
  using _reader = Deno.openSync(path, { read: true, write: true });
  assertEquals(writer.waitForRoom(1000), true);
  assertEquals(writer.writeSync(new Uint8Array([1])), 1);
});
