/**
 * Images that are unreadable or malformed: exit code 4 and one line.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { image, TempDir, vmexit, withoutPrivilege } from "../lib/vmexit.ts";

/** Runs and inspects an image, both of which are to fail alike. */
async function assertRefused(message: RegExp, ...args: string[]): Promise<void> {
  for (const command of ["run", "inspect"]) {
    const { code, stdout, stderr } = await vmexit(command, ...args);
    assertEquals([code, stdout], [4, ""]);
    assertMatch(stderr, /^vmexit: [^\n]*\n$/);
    assertMatch(stderr, message);
  }
}

Deno.test("a file that is not there", async () => {
  await assertRefused(/ \/nonexistent\/image does not exist$/m, "/nonexistent/image");
});

Deno.test("a folder", async () => {
  await assertRefused(/images\/ is a directory, not an image$/m, image(""));
});

Deno.test("a file that a path takes for a folder", async () => {
  await assertRefused(
    /hello.elf\/x cannot be read: Not a directory \(ENOTDIR\)$/m,
    image("hello.elf/x"),
  );
});

Deno.test("an empty file, and one that is empty by nature", async () => {
  using dir = new TempDir();
  await assertRefused(/\/empty: the file is empty$/m, dir.file("empty"));
  await assertRefused(/the image is empty$/m, "--boot", "flat16", dir.file("empty"));
  await assertRefused(/^vmexit: \/dev\/null: the file is empty$/m, "/dev/null");
});

Deno.test("a text file: the values of --boot are listed", async () => {
  using dir = new TempDir();
  const path = dir.file("notes", "Dear reader,\nthis is no guest.\n");
  const choices = "auto, flat16, flat32, flat64, elf, multiboot";
  await assertRefused(new RegExp(`not a format that vmexit knows; .*${choices}.*--boot`), path);
});

Deno.test("an initrd that is not there", async () => {
  await assertRefused(/ \/nonexistent does not exist$/m, "-i", "/nonexistent", image("hello.mb"));
});

Deno.test("an ELF file that was cut short: the field that is missing is named", async () => {
  using dir = new TempDir();
  const whole = Deno.readFileSync(image("hello.elf"));
  for (
    const [length, field] of [
      [10, "ELF header: e_type needs bytes 0x10 to 0x12, but the file ends at 0xa"],
      [57, "ELF header: e_phnum needs bytes 0x38 to 0x3a"],
      [100, "ELF header: e_phoff needs bytes 0x40 to 0x78, but the file ends at 0x64"],
      [130, "ELF program header 0: p_offset \\+ p_filesz needs bytes"],
    ] as const
  ) {
    const path = dir.file(`cut-${length}.elf`, whole.subarray(0, length));
    await assertRefused(new RegExp(`${field}.*it is truncated or damaged$`, "m"), path);
  }
});

Deno.test("another protocol than the image's", async () => {
  await assertRefused(/no Multiboot header/, "--boot", "multiboot", image("hello.elf"));
  await assertRefused(/not an ELF file/, "--boot", "elf", image("hello.bin64"));
});

Deno.test({
  name: "a file that the user may not read",
  // Others than root cannot give up just the right to override a file's mode.
  ignore: Deno.uid() !== 0,
  async fn() {
    using dir = new TempDir();
    const path = dir.file("secret.bin16", new Uint8Array([0xf4]));
    Deno.chmodSync(path, 0o000);
    const { code, stderr } = await withoutPrivilege("run", path);
    assertEquals(code, 4);
    assertEquals(
      stderr,
      `vmexit: ${path} cannot be read: permission denied; see its mode and owner\n`,
    );
  },
});
