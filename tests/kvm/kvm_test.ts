import { assert, assertEquals, assertGreater, assertThrows } from "@std/assert";
import { SystemError } from "../../ffi/libc.ts";
import { DisposedError } from "../../src/kvm/descriptor.ts";
import { Kvm } from "../../src/kvm/kvm.ts";
import { KvmUnavailableError } from "../../src/kvm/unavailable.ts";
import { kvmTest } from "../lib/kvm.ts";

const IA32_SYSENTER_CS = 0x174;

function whyUnavailable(path: string): string {
  return assertThrows(() => Kvm.open(path), KvmUnavailableError).problem;
}

function openDescriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

Deno.test("a file that does not exist is unavailable KVM", () => {
  assertEquals(whyUnavailable("/does/not/exist"), "/does/not/exist does not exist");
});

Deno.test("a directory is unavailable KVM", () => {
  assertEquals(whyUnavailable("/dev"), "/dev cannot be opened: Is a directory (EISDIR)");
});

Deno.test("a device without a driver is unavailable KVM: a socket answers as one", () => {
  const directory = Deno.makeTempDirSync();
  const path = `${directory}/socket`;
  try {
    using _listener = Deno.listen({ transport: "unix", path });
    assertEquals(whyUnavailable(path), `${path} has no driver behind it (ENXIO)`);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test({
  name: "a file without permission is unavailable KVM" +
    (Deno.uid() === 0 ? " (root has permission for all)" : ""),
  ignore: Deno.uid() === 0,
  fn: () => {
    const path = Deno.makeTempFileSync();
    try {
      Deno.chmodSync(path, 0);
      assertEquals(whyUnavailable(path), `no permission to open ${path} (EACCES)`);
    } finally {
      Deno.removeSync(path);
    }
  },
});

Deno.test("a device that is not KVM is unavailable KVM, and is closed again", () => {
  const before = openDescriptors();
  assertEquals(whyUnavailable("/dev/null"), "/dev/null is not a KVM device");
  assertEquals(openDescriptors(), before);
});

kvmTest("KVM speaks version 12 of its API", () => {
  using kvm = Kvm.open();
  assertEquals(kvm.apiVersion(), 12);
});

kvmTest("a capability is 0 where it is absent, else its value", () => {
  using kvm = Kvm.open();
  assertEquals(kvm.checkExtension("USER_MEMORY"), 1);
  assertEquals(kvm.checkExtension("S390_PSW"), 0, "of another architecture");
  assertGreater(kvm.checkExtension("NR_MEMSLOTS"), 1);
});

kvmTest("a vCPU's mapping holds kvm_run and the page of port data", () => {
  using kvm = Kvm.open();
  const size = kvm.vcpuMmapSizeBytes();
  assertGreater(size, 4096);
  assertEquals(size % 4096, 0);
});

kvmTest("the supported CPUID leaves are those that the first leaf announces", () => {
  using kvm = Kvm.open();
  const leaves = kvm.supportedCpuid();
  const first = leaves.find((leaf) => leaf.function === 0)!;
  const basic = leaves.filter((leaf) => leaf.function < 0x4000_0000);
  assertGreater(basic.length, 1);
  assert(basic.every((leaf) => leaf.function <= first.eax));
  const signature = leaves.find((leaf) => leaf.function === 0x4000_0000)!;
  const words = new Uint32Array([signature.ebx, signature.ecx, signature.edx]);
  assertEquals(new TextDecoder().decode(words).replaceAll("\0", ""), "KVMKVMKVM");
});

kvmTest("the emulated CPUID leaves have MOVBE", () => {
  using kvm = Kvm.open();
  const leaf = kvm.emulatedCpuid().find((entry) => entry.function === 1)!;
  assertEquals(leaf.ecx & (1 << 22), 1 << 22);
});

kvmTest("the MSRs of a guest's state are listed once each, SYSENTER's among them", () => {
  using kvm = Kvm.open();
  const indices = kvm.msrIndexList();
  assert(indices.includes(IA32_SYSENTER_CS));
  assertEquals(new Set(indices).size, indices.length);
});

kvmTest("every feature MSR that is listed can be read, alone and with the others", () => {
  using kvm = Kvm.open();
  const indices = kvm.msrFeatureIndexList();
  assertGreater(indices.length, 0);
  const all = kvm.featureMsrs(indices);
  assertEquals(all.map(({ index }) => index), indices);
  for (const msr of all) assertEquals(kvm.featureMsrs([msr.index]), [msr]);
});

kvmTest("reading feature MSRs stops before the first that is none", () => {
  using kvm = Kvm.open();
  const [first] = kvm.msrFeatureIndexList();
  const read = kvm.featureMsrs([first!, 0x12345, first!]);
  assertEquals(read.map(({ index }) => index), [first]);
});

kvmTest("an unknown VM type is a SystemError that names the ioctl", () => {
  using kvm = Kvm.open();
  const error = assertThrows(() => kvm.createVm(0x7f), SystemError);
  assertEquals(error.message, "ioctl(KVM_CREATE_VM): Invalid argument (EINVAL)");
});

kvmTest("disposing KVM disposes its VMs and their vCPUs, and a second time does nothing", () => {
  const before = openDescriptors();
  const kvm = Kvm.open();
  const vm = kvm.createVm();
  const vcpu = vm.createVcpu(0);
  kvm[Symbol.dispose]();
  assert(vm.disposed && vcpu.disposed);
  assertEquals(openDescriptors(), before);
  kvm[Symbol.dispose]();
  assertThrows(() => kvm.apiVersion(), DisposedError, "the KVM device was used after");
  assertThrows(() => kvm.createVm(), DisposedError);
  assertThrows(() => vm.clock(), DisposedError, "the VM was used after");
});
