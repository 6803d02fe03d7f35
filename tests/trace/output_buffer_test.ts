import { assertEquals } from "@std/assert";
import {
  type ByteStream,
  OutputBuffer,
  type OutputFailure,
} from "../../src/trace/output_buffer.ts";

/** A stream that keeps what it is given, in pieces no larger than it likes. */
class Collector implements ByteStream {
  readonly pieces: string[] = [];
  /** What the next calls throw, first one first. */
  readonly errors: Error[] = [];

  constructor(readonly most = Infinity) {}

  writeSync(bytes: Uint8Array): number {
    const error = this.errors.shift();
    if (error) throw error;
    const taken = bytes.subarray(0, this.most);
    this.pieces.push(String.fromCharCode(...taken));
    return taken.length;
  }

  get all(): string {
    return this.pieces.join("");
  }
}

Deno.test("bytes and text come out in order, at flush and not before", () => {
  const stream = new Collector();
  const out = new OutputBuffer(stream, "it");
  out.text("ab");
  out.byte(0xff);
  out.text("é");
  assertEquals(stream.pieces, []);
  out.flush();
  assertEquals(stream.pieces, ["ab\xff\xc3\xa9"]);
  out.flush();
  assertEquals(stream.pieces.length, 1);
});

Deno.test("a full buffer is written out by itself", () => {
  const stream = new Collector();
  const out = new OutputBuffer(stream, "it");
  for (let i = 0; i < 200_000; i++) out.byte(i & 0x7f);
  assertEquals(stream.all.length, 3 * 65536);
  out.flush();
  assertEquals(
    stream.all,
    Array.from({ length: 200_000 }, (_, i) => String.fromCharCode(i & 0x7f)).join(""),
  );
});

Deno.test("a text larger than the buffer comes out whole, after earlier output", () => {
  const stream = new Collector();
  const out = new OutputBuffer(stream, "it");
  out.byte(0x3c);
  out.text("x".repeat(70_000));
  out.byte(0x3e);
  out.flush();
  assertEquals(stream.all, `<${"x".repeat(70_000)}>`);
});

Deno.test("a stream that takes little at a time gets everything", () => {
  const stream = new Collector(3);
  const out = new OutputBuffer(stream, "it");
  out.text("0123456789");
  out.flush();
  assertEquals(stream.pieces, ["012", "345", "678", "9"]);
});

Deno.test("a write to a full stream is retried", () => {
  const stream = new Collector();
  stream.errors.push(new Deno.errors.WouldBlock(), new Deno.errors.WouldBlock());
  const out = new OutputBuffer(stream, "it");
  out.text("later");
  out.flush();
  assertEquals([stream.all, out.failure], ["later", undefined]);
});

for (
  const [error, closed] of [
    [new Deno.errors.BrokenPipe("gone"), true],
    [new Error("No space left on device"), false],
  ] as const
) {
  Deno.test(`${error.name} is reported once, and later output is dropped`, () => {
    const stream = new Collector();
    stream.errors.push(error);
    const failures: OutputFailure[] = [];
    const out = new OutputBuffer(stream, "the trace", (failure) => failures.push(failure));
    out.text("a");
    out.flush();
    out.text("b".repeat(100_000));
    out.byte(1);
    out.flush();
    assertEquals(stream.pieces, []);
    assertEquals(failures, [{ closed, message: `the trace: ${error.message}` }]);
    assertEquals(out.failure, failures[0]);
  });
}

/** A stream whose reader takes nothing, or as much as there is room for. */
class Stalled implements ByteStream {
  room = 0;
  waits = 0;
  taken = 0;

  writeSync(bytes: Uint8Array): number {
    const count = Math.min(bytes.length, this.room);
    this.room -= count;
    this.taken += count;
    return count;
  }

  waitForRoom(): boolean {
    this.waits++;
    return this.room > 0;
  }
}

Deno.test("a stalled reader is reported, and waited for only once", () => {
  const stream = new Stalled();
  let stalls = 0;
  const out = new OutputBuffer(stream, "it", undefined, () => stalls++);
  out.text("line\n".repeat(100));
  out.flush();
  assertEquals([stalls, stream.waits, out.pending], [0, 0, 500], "there is room in the buffer");
  for (let i = 0; i < 100_000; i++) out.byte(0x0a);
  out.text("x".repeat(100_000));
  assertEquals(stream.waits, 1);
  assertEquals(stalls > 0, true);
  assertEquals(out.pending, 200_500, "nothing is lost while the guest pauses");
});

Deno.test("a stalled reader gets everything in order once it reads", () => {
  const pieces = new Collector(1000);
  const stream = new Stalled();
  const out = new OutputBuffer(
    {
      writeSync: (bytes) =>
        pieces.writeSync(bytes.subarray(0, stream.writeSync(bytes.subarray(0, 1000)))),
      waitForRoom: () => stream.waitForRoom(),
    },
    "it",
    undefined,
    () => {},
  );
  const text = Array.from({ length: 30_000 }, (_, i) => `${i}\n`).join("");
  out.text(text.slice(0, 90_000));
  stream.room = 70_000;
  out.text(text.slice(90_000));
  stream.room = Infinity;
  assertEquals(out.drain(0, 1000), true);
  assertEquals([pieces.all, out.pending], [text, 0]);
});

Deno.test("a drain gives up in time, and what is dropped is counted", () => {
  const stream = new Stalled();
  const out = new OutputBuffer(stream, "it", undefined, () => {});
  out.text("12345");
  assertEquals(out.drain(0, 5), false);
  assertEquals(out.drain(5, 5), true);
  stream.room = 2;
  assertEquals(out.drain(0, 5), false);
  assertEquals([out.drop(), out.pending, stream.taken], [3, 0, 2]);
});
