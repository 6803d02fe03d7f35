import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { close, O_CLOEXEC, O_RDWR, open, read, SystemError, write } from "../../ffi/libc.ts";
import type { SerialBackend } from "../../src/devices/serial_backend.ts";
import { PtyBackend, UnixBackend } from "../../src/devices/stream_backend.ts";
import { TempDir } from "../lib/vmexit.ts";

const O_NOCTTY = 0o400;
const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes && new TextDecoder().decode(bytes);
const bytesOf = (value: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(value);

function send(backend: SerialBackend, value: string): void {
  for (const byte of bytesOf(value)) backend.write(byte);
  backend.flush!();
}

function readText(fd: number, sizeBytes = 100): string {
  const bytes = new Uint8Array(sizeBytes);
  return text(bytes.subarray(0, read(fd, bytes)))!;
}

async function readSome(connection: Deno.Conn): Promise<string> {
  const bytes = new Uint8Array(100);
  return text(bytes.subarray(0, await connection.read(bytes) ?? 0))!;
}

Deno.test("a pseudo-terminal passes every byte unchanged, both ways", () => {
  using pty = new PtyBackend();
  assertMatch(pty.path, /^\/dev\/pts\/\d+$/);
  assertEquals(pty.poll(), undefined, "not open yet");
  send(pty, "first\n");
  const fd = open(pty.path, O_RDWR | O_NOCTTY | O_CLOEXEC);
  try {
    assertEquals(readText(fd), "first\n", "output from before is kept");
    write(fd, bytesOf("in\r\x03"));
    assertEquals(text(pty.poll()), "in\r\x03");
    assertEquals(pty.poll(), undefined);
    send(pty, "\x00\n\xff");
    assertEquals(readText(fd), "\x00\n\xff");
  } finally {
    close(fd);
  }
  assertEquals(pty.poll(), undefined, "closed");
  send(pty, "lost");
});

Deno.test("unread output is buffered up to a limit, then lost; nothing blocks", () => {
  using pty = new PtyBackend();
  for (let i = 0; i < 100_000; i++) pty.write(0x78);
  pty.flush();
});

Deno.test("a socket with a listener is connected to at once", async () => {
  using dir = new TempDir();
  const path = `${dir.path}/socket`;
  using listener = Deno.listen({ transport: "unix", path });
  const accepted = listener.accept();
  using backend = new UnixBackend(path);
  const connection = await accepted;
  send(backend, "out");
  assertEquals(await readSome(connection), "out");
  await connection.write(bytesOf("in"));
  assertEquals(text(backend.poll()), "in");
  connection.close();
  assertEquals(backend.poll(), undefined);
  send(backend, "lost");
  assertEquals(backend.poll(), undefined);
});

Deno.test("without a listener, the backend takes one peer after the other", async () => {
  using dir = new TempDir();
  const path = `${dir.path}/socket`;
  {
    using backend = new UnixBackend(path);
    assertEquals(backend.poll(), undefined);
    send(backend, "kept");
    for (const greeting of ["kept", "again"]) {
      const connection = await Deno.connect({ transport: "unix", path });
      backend.poll();
      send(backend, greeting === "kept" ? "" : greeting);
      backend.flush();
      assertEquals(await readSome(connection), greeting);
      await connection.write(bytesOf("in"));
      assertEquals(text(backend.poll()), "in");
      connection.close();
      backend.poll();
    }
  }
  assertThrows(() => Deno.statSync(path), Deno.errors.NotFound, undefined, "it is removed");
});

Deno.test("a path that is not a socket, or has no listener, is refused and left alone", () => {
  using dir = new TempDir();
  const file = dir.file("file", "content");
  const error = assertThrows(() => new UnixBackend(file), SystemError);
  assertEquals(error.code, "ECONNREFUSED");
  assertEquals(Deno.readTextFileSync(file), "content");
  assertThrows(() => new UnixBackend("x".repeat(108)), RangeError, "107 bytes");
});

Deno.test("a backend closes what it has opened", () => {
  using dir = new TempDir();
  const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
  const before = descriptors();
  for (const make of [() => new PtyBackend(), () => new UnixBackend(`${dir.path}/socket`)]) {
    const backend = make();
    backend[Symbol.dispose]();
    backend[Symbol.dispose]();
  }
  assertEquals(descriptors(), before);
});

/** A watcher that records what is watched. */
function watchList() {
  const watched: number[] = [];
  return {
    watched,
    watch: (fd: number) => void watched.push(fd),
    unwatch: (fd: number) => void watched.splice(watched.indexOf(fd), 1),
  };
}

Deno.test("a pseudo-terminal is watched until it is closed", () => {
  const list = watchList();
  {
    using pty = new PtyBackend();
    pty.watchInput(list);
    assertEquals(list.watched.length, 1);
  }
  assertEquals(list.watched, []);
});

Deno.test("a socket is watched for peers, then each peer for input, until it is closed", async () => {
  using dir = new TempDir();
  const path = `${dir.path}/socket`;
  const list = watchList();
  const counts: number[] = [];
  const count = () => counts.push(list.watched.length);
  {
    using backend = new UnixBackend(path);
    backend.watchInput(list);
    count();
    const connection = await Deno.connect({ transport: "unix", path });
    backend.poll();
    count();
    connection.close();
    backend.poll();
    count();
  }
  count();
  assertEquals(counts, [1, 2, 1, 0]);
});
