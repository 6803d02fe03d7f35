import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { SystemError } from "../../ffi/libc.ts";
import { judgeSpeed } from "../../src/host/execution_speed.ts";
import { cpuFacts, type HostFiles, kvmModule } from "../../src/host/facts.ts";
import { featuresOf } from "../../src/host/features.ts";
import { type HostReport, inspectHost, type Part } from "../../src/host/report.ts";
import { explainHere, type RemedyFacts } from "../../src/host/kvm_device.ts";

const ENOENT = 2;

/** A host with these files and no others. */
function hostWith(files: Record<string, string>): HostFiles {
  return {
    read(path) {
      const text = files[path];
      if (text === undefined) throw new SystemError(`open(${path})`, ENOENT);
      return text;
    },
    exists: (path) => path in files,
  };
}

const CPUINFO = `processor\t: 0
vendor_id\t: GenuineIntel
model name\t: A Processor: fast
flags\t\t: fpu vmx lm

processor\t: 1
vendor_id\t: Other
`;

function valueOf<T>(part: Part<T>): T {
  if ("unavailable" in part) throw new Error(part.unavailable);
  return part.value;
}

Deno.test("the first processor's vendor, model and virtualization are reported", () => {
  assertEquals(cpuFacts(hostWith({ "/proc/cpuinfo": CPUINFO })), {
    vendor: "GenuineIntel",
    model: "A Processor: fast",
    virtualization: "vmx",
    underHypervisor: false,
  });
});

Deno.test("a loaded module is found, and the helpers of other subsystems are not", () => {
  const files = hostWith({
    "/proc/modules": "kvm_amd 200704 0 - Live 0x0\nccp 16384 1 kvm_amd, Live 0x0\n" +
      "kvm 1400832 1 kvm_amd, Live 0x0\n",
    "/proc/misc": "232 kvm\n 59 kvmother\n",
    "/sys/module/kvm_amd": "",
  });
  assertEquals(kvmModule(files, "AuthenticAMD"), {
    name: "kvm_amd",
    kind: "kvm_amd",
    builtIn: false,
    miscMinor: 232,
  });
});

Deno.test("of several built-in modules, the one for the vendor's processors counts", () => {
  const files = hostWith({ "/sys/module/kvm_intel": "", "/sys/module/kvm_amd": "" });
  const { name, builtIn, miscMinor } = kvmModule(files, "AuthenticAMD");
  assertEquals({ name, builtIn, miscMinor }, {
    name: "kvm_amd",
    builtIn: true,
    miscMinor: undefined,
  });
});

Deno.test("a module of a third kind counts whatever the vendor", () => {
  const files = hostWith({ "/proc/modules": "kvm_pvm 1 0 - Live 0x0\n" });
  assertEquals(kvmModule(files, "GenuineIntel").kind, "other");
});

Deno.test("a host without any module says so", () => {
  assertEquals(kvmModule(hostWith({}), undefined).kind, "none");
});

const NO_MODULE = kvmModule(hostWith({}), undefined);
const REGISTERED = kvmModule(hostWith({ "/proc/misc": "232 kvm\n" }), undefined);
const INTEL = { vendor: "GenuineIntel", model: "", underHypervisor: false } as const;
const RIGHTS = { rights: 0o660, uid: 0, gid: 36, major: 10, minor: 232 };

/** What helps when opening the KVM device fails with this errno. */
function remedy(errno: number, facts: Partial<RemedyFacts>, path = "/dev/kvm"): string {
  const known = { module: NO_MODULE, cpu: undefined, status: undefined, group: undefined };
  return explainHere(path, new SystemError("open", errno), { ...known, ...facts }).remedy;
}

Deno.test("a missing module's remedy names the module for this processor", () => {
  const cpu = { ...INTEL, virtualization: "vmx" } as const;
  assertEquals(remedy(ENOENT, { cpu }), "sudo modprobe kvm_intel");
  assertEquals(remedy(6, { cpu }), "sudo modprobe kvm_intel"); // ENXIO
  assertEquals(
    remedy(ENOENT, { cpu: { ...cpu, vendor: "AuthenticAMD" } }),
    "sudo modprobe kvm_amd",
  );
});

Deno.test("without the processor's flag, virtualization is to be switched on first", () => {
  const cpu = { ...INTEL, virtualization: undefined };
  assertStringIncludes(remedy(ENOENT, { cpu }), "firmware");
  assertStringIncludes(remedy(ENOENT, { cpu: { ...cpu, underHypervisor: true } }), "nested");
});

Deno.test("a device missing although the kernel has KVM is a container's", () => {
  const text = remedy(ENOENT, { module: REGISTERED });
  assertStringIncludes(text, "--device /dev/kvm");
  assertStringIncludes(text, "mknod /dev/kvm c 10 232");
});

Deno.test("another path's absence says nothing about the module", () => {
  assertStringIncludes(remedy(ENOENT, {}, "/nowhere"), "use /dev/kvm");
});

Deno.test("no permission: join the group where it has access, else an ACL", () => {
  const EACCES = 13;
  const joined = remedy(EACCES, { status: RIGHTS, group: "virt" });
  assertStringIncludes(joined, 'usermod -aG virt "$USER"');
  assertStringIncludes(joined, "setfacl");
  const closed = remedy(EACCES, { status: { ...RIGHTS, rights: 0o600 }, group: "virt" });
  assert(!closed.includes("usermod"), closed);
  assertStringIncludes(closed, 'setfacl -m "u:$USER:rw" /dev/kvm');
});

Deno.test("no remedy is to join root's group", () => {
  const text = remedy(13, { status: { ...RIGHTS, gid: 0 }, group: "root" });
  assert(!text.includes("usermod"), text);
});

Deno.test("EPERM is a container's device rule", () => {
  assertStringIncludes(remedy(1, {}), "--device /dev/kvm");
});

Deno.test("a speed tells native execution from emulation", () => {
  assertEquals([4e9, 60e6, 5e6].map(judgeSpeed), ["native", "slow", "emulated"]);
});

Deno.test("every feature is enabled by its capability alone, and says what it does", () => {
  for (const { capability } of featuresOf(() => 0)) {
    const enabled = featuresOf((name) => name === capability ? 1 : 0).filter((f) => f.enabled);
    assertEquals(enabled.map((feature) => feature.capability), [capability]);
  }
});

Deno.test("the features include those that hosts differ in", () => {
  const names = featuresOf(() => 0).map((feature) => feature.capability);
  for (
    const name of [
      "SYNC_REGS",
      "MEMORY_FAULT_INFO",
      "GUEST_MEMFD",
      "MEMORY_ATTRIBUTES",
      "X86_USER_SPACE_MSR",
    ] as const
  ) assert(names.includes(name), name);
});

/** The sections that only a working KVM can fill. */
const KVM_PARTS = [
  "apiVersion",
  "capabilities",
  "limits",
  "execution",
  "features",
  "cpuid",
  "behaviour",
] as const;

function assertUnusable(report: HostReport, problem: string): void {
  assert(!report.usable);
  assertStringIncludes(report.problem ?? "", problem);
  assert(report.remedy);
  for (const name of KVM_PARTS) assert("unavailable" in report[name], name);
}

Deno.test("a missing device is reported, not thrown", () => {
  const report = inspectHost({ kvmPath: "/no/such/device" });
  assertUnusable(report, "does not exist");
  assertEquals([report.device.exists, report.device.errno], [false, "ENOENT"]);
});

Deno.test("a device that is not KVM is reported, not thrown", () => {
  const report = inspectHost({ kvmPath: "/dev/null" });
  assertUnusable(report, "/dev/null is not a KVM device");
  assertEquals([report.device.exists, report.device.errno], [true, undefined]);
});

Deno.test("a host without readable facts is reported, not thrown", () => {
  const report = inspectHost({ kvmPath: "/no/such/device", files: hostWith({}) });
  for (const name of ["kernel", "cpu"] as const) {
    const part = report[name];
    assert("unavailable" in part && part.unavailable.includes("/proc/"), name);
  }
});

Deno.test("a KVM that works is reported with its capabilities, limits and speed", () => {
  const report = inspectHost();
  assertEquals(report.problem, undefined);
  assert(report.usable);
  assertEquals(valueOf(report.apiVersion), 12);
  const userMemory = valueOf(report.capabilities).find(({ name }) => name === "USER_MEMORY");
  assertEquals(userMemory, { name: "USER_MEMORY", number: 3, value: 1 });
  const limits = valueOf(report.limits);
  assert(limits.maxVcpus >= 1 && limits.memorySlots >= 1 && limits.vcpuMmapSizeBytes >= 4096);
  assert(limits.physicalAddressBits >= 32 && limits.physicalAddressBits <= 52);
  assert(limits.linearAddressBits === 48 || limits.linearAddressBits === 57);
  const speeds = valueOf(report.execution);
  assertEquals(speeds.map(({ mode }) => mode), ["real", "protected", "long_cpl0", "long_cpl3"]);
  for (const speed of speeds) assert(speed.execution !== "failed", JSON.stringify(speed));
  assertEquals(valueOf(report.features).length, featuresOf(() => 0).length);
  assertEquals(valueOf(report.cpuid).map(({ mode }) => mode), ["long_cpl0", "long_cpl3"]);
});
