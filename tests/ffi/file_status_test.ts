import { assertEquals, assertThrows } from "@std/assert";
import { fileStatus } from "../../ffi/file_status.ts";
import { SystemError } from "../../ffi/libc.ts";

Deno.test("a file's rights and owner are those that stat(2) tells", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.chmod(path, 0o641);
    const { uid, gid } = await Deno.stat(path);
    assertEquals(fileStatus(path), { rights: 0o641, uid, gid, major: 0, minor: 0 });
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("a device has its number", () => {
  const { major, minor } = fileStatus("/dev/null");
  assertEquals([major, minor], [1, 3]);
});

Deno.test("a missing file is a SystemError", () => {
  const error = assertThrows(() => fileStatus("/no/such/file"), SystemError);
  assertEquals(error.code, "ENOENT");
});
