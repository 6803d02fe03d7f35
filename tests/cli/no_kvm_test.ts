/**
 * Hosts whose KVM cannot be used: exit code 6, the problem and its remedy.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { image, TempDir, vmexit, withoutPrivilege } from "../lib/vmexit.ts";

const HELLO = image("hello.elf");

for (
  const [path, problem, remedy] of [
    ["/nonexistent", "/nonexistent does not exist", "leave --kvm out"],
    ["/dev/null", "/dev/null is not a KVM device", "--kvm PATH"],
    ["/dev", "/dev cannot be opened: Is a directory \\(EISDIR\\)", "--kvm PATH"],
    [HELLO, `${HELLO} is not a KVM device`, "--kvm PATH"],
  ] as const
) {
  Deno.test(`run with --kvm ${path === HELLO ? "FILE" : path}`, async () => {
    const { code, stdout, stderr } = await vmexit("run", "--kvm", path, HELLO);
    assertEquals([code, stdout], [6, ""]);
    assertMatch(stderr, new RegExp(`^vmexit: ${problem}; [^\n]*${remedy}[^\n]*\n$`));
  });

  Deno.test(`doctor with --kvm ${path === HELLO ? "FILE" : path}`, async () => {
    const { code, stdout, stderr } = await vmexit("doctor", "--kvm", path);
    assertEquals([code, stderr], [6, ""]);
    assertMatch(stdout, /^KVM cannot be used on this host\.\n {2}problem {3}\S/);
    assertMatch(stdout, /^ {2}remedy {4}\S/m);
  });
}

Deno.test("doctor without KVM as JSON is one record with the exit code", async () => {
  const { code, stdout } = await vmexit("doctor", "--format=json", "--kvm", "/nonexistent");
  const record = JSON.parse(stdout);
  assertEquals([code, record.exit_code, record.usable], [6, 6, false]);
  assertEquals(record.problem, "/nonexistent does not exist");
});

Deno.test({
  name: "a KVM device that the user may not open: how to get the right",
  // Others than root cannot give up just the right to override a file's mode.
  ignore: Deno.uid() !== 0,
  async fn() {
    using dir = new TempDir();
    const path = dir.file("kvm");
    Deno.chmodSync(path, 0o000);
    const run = await withoutPrivilege("run", "--kvm", path, HELLO);
    assertEquals(run.code, 6);
    assertMatch(
      run.stderr,
      /^vmexit: no permission to open \S+ \(EACCES\); .*setfacl.*\n$/,
    );
  },
});
