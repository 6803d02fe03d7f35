import { assertEquals } from "@std/assert";
import { kvmTest } from "../lib/kvm.ts";
import { bash, image } from "../lib/vmexit.ts";

kvmTest("run - boots the image that standard input holds, whether a pipe or a file", async () => {
  for (const line of ['cat "$1" | vmexit run -q -', 'vmexit run -q - <"$1"']) {
    const { code, stdout } = await bash(line, image("hello.elf"));
    assertEquals([code, stdout], [0, "Hello, KVM!\n"]);
  }
});

Deno.test("inspect - says what standard input holds", async () => {
  const { code, stdout } = await bash('vmexit inspect - <"$1"', image("hello.elf"));
  assertEquals([code, stdout.split("\n")[0]!.split(",")[0]], [0, "image    standard input"]);
});

Deno.test("an empty standard input is not an image", async () => {
  const { code, stderr } = await bash("vmexit run - </dev/null");
  assertEquals([code, stderr], [4, "vmexit: standard input: the file is empty\n"]);
});

Deno.test("a terminal is not an image: the run does not wait for input", async () => {
  const { stdout } = await bash('script -qec "\\"$VMEXIT\\" run -; echo code=\\$?" /dev/null');
  assertEquals(
    stdout.replaceAll("\r", ""),
    "vmexit: standard input is a terminal; send an image to it: vmexit run - < IMAGE\ncode=4\n",
  );
});
