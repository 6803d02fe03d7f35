import { assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { ERRNO } from "../../ffi/errno.ts";
import { SystemError } from "../../ffi/libc.ts";
import {
  explainOpenFailure,
  KvmUnavailableError,
  missingCapability,
  notKvm,
  wrongApiVersion,
} from "../../src/kvm/unavailable.ts";

function explain(code: string): KvmUnavailableError {
  const errno = [...ERRNO].find(([, { name }]) => name === code)![0];
  return explainOpenFailure("/dev/kvm", new SystemError("open", errno));
}

Deno.test("each errno of a failed open has its problem and its remedy", () => {
  const expected: [code: string, problem: string, remedy: RegExp][] = [
    ["ENOENT", "/dev/kvm does not exist", /modprobe kvm_intel.*--device \/dev\/kvm/],
    ["ENXIO", "/dev/kvm has no driver behind it (ENXIO)", /modprobe kvm_intel/],
    ["ENODEV", "/dev/kvm has no driver behind it (ENODEV)", /modprobe kvm_intel/],
    ["EACCES", "no permission to open /dev/kvm (EACCES)", /usermod -aG kvm.*setfacl.*\/dev\/kvm/],
    ["EPERM", "no permission to open /dev/kvm (EPERM)", /usermod -aG kvm.*setfacl.*\/dev\/kvm/],
    ["EBUSY", "/dev/kvm is busy", /stop the other hypervisor/],
    ["EISDIR", "/dev/kvm cannot be opened: Is a directory (EISDIR)", /name the KVM device/],
  ];
  for (const [code, problem, remedy] of expected) {
    const error = explain(code);
    assertInstanceOf(error, KvmUnavailableError);
    assertEquals(error.problem, problem);
    assertEquals(remedy.test(error.remedy), true, `${code}: ${error.remedy}`);
    assertEquals(error.message, `${error.problem}; ${error.remedy}`);
  }
});

Deno.test("a device that is not KVM, or another KVM, is reported as such", () => {
  assertEquals(notKvm("/dev/null").problem, "/dev/null is not a KVM device");
  assertEquals(wrongApiVersion(11).problem, "KVM speaks API version 11, not 12");
});

Deno.test("a missing capability is named with who needs it", () => {
  const { message } = missingCapability("PIT2", { what: "pc" });
  assertStringIncludes(message, "lacks KVM_CAP_PIT2, which a PC needs");
});
