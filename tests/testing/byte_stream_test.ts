import { assertEquals, assertLess } from "@std/assert";
import { readUpTo } from "../../src/testing/byte_stream.ts";

/** What a shell command prints. */
function outputOf(command: string) {
  const { stdout } = new Deno.Command("sh", { args: ["-c", command], stdout: "piped" }).spawn();
  return stdout;
}

Deno.test("a stream is read to its end, up to the bound", async () => {
  let excesses = 0;
  const read = (command: string, most: number) =>
    readUpTo(outputOf(command), most, () => excesses++);
  assertEquals(
    new TextDecoder().decode(await read("printf one; sleep 0.1; printf two", 6)),
    "onetwo",
  );
  assertEquals(excesses, 0);
  assertEquals((await read("head -c 300000 /dev/zero", 200_001)).length, 200_001);
  assertEquals(excesses > 0, true);
  assertEquals((await read("", 0)).length, 0);
});

Deno.test("pieces of a byte each take no buffer each", async () => {
  const before = Deno.memoryUsage();
  const bytes = await readUpTo(
    outputOf("yes '' | head -n 100000 | dd bs=1 2>&-"),
    1 << 20,
    () => {},
  );
  assertEquals(bytes.length, 100_000);
  const after = Deno.memoryUsage();
  assertLess(after.external - before.external, 16 << 20);
});
