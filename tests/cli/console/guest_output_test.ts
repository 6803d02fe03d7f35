import { assertEquals } from "@std/assert";
import { promptOutput, terminalOutput } from "../../../src/cli/console/guest_output.ts";
import { OutputBuffer } from "../../../src/trace/output_buffer.ts";

/** A buffer, and its output so far. */
function recorded(name: string, log: string[]): OutputBuffer {
  const writeSync = (bytes: Uint8Array): number => {
    log.push(`${name}:${new TextDecoder().decode(bytes)}`);
    return bytes.length;
  };
  return new OutputBuffer({ writeSync }, name);
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

Deno.test("in a pipe whole lines and what had to wait go at once", () => {
  const log: string[] = [];
  let time = 0;
  const write = promptOutput(recorded("out", log), () => time);
  bytesOf("login\nname").forEach(write);
  assertEquals(log, ["out:login\n"]);
  time += 10;
  bytesOf(": ").forEach(write);
  assertEquals(log.slice(1), ["out:name:"]);
});

Deno.test("on a terminal the exits that led to a line come before it", () => {
  const log: string[] = [];
  const trace = recorded("trace", log);
  const write = terminalOutput(recorded("out", log), trace);
  trace.text("#1");
  bytesOf("a\n").forEach(write);
  assertEquals(log, []);
  trace.text("#2");
  bytesOf("b").forEach(write);
  assertEquals(log, ["trace:#1#2", "out:a\n"]);
});
