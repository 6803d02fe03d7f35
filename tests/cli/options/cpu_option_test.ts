import { assertEquals, assertThrows } from "@std/assert";
import { parseCpu } from "../../../src/cli/options/cpu_option.ts";
import { UsageError } from "../../../src/cli/options/usage_error.ts";
import { kvmTest } from "../../lib/kvm.ts";
import { image, lastLine, vmexit } from "../../lib/vmexit.ts";

Deno.test("features are turned on and off, in the order of the list", () => {
  assertEquals(parseCpu("+nx, -x2apic,sse2"), {
    baseline: false,
    on: ["nx", "sse2"],
    off: ["x2apic"],
  });
  assertEquals(parseCpu("+nx,-nx"), { baseline: false, on: [], off: ["nx"] });
  assertEquals(parseCpu("-nx,+nx"), { baseline: false, on: ["nx"], off: [] });
});

Deno.test("none takes all optional features away, and what stood before it", () => {
  assertEquals(parseCpu("none"), { baseline: true, on: [], off: [] });
  assertEquals(parseCpu("+avx,-nx,none,+pat"), { baseline: true, on: ["pat"], off: [] });
});

Deno.test("names of other tools are known too", () => {
  assertEquals(parseCpu("-tsc_deadline,-sse3,-invtsc").off, [
    "tsc_deadline_timer",
    "pni",
    "nonstop_tsc",
  ]);
});

for (
  const [text, word, suggestion] of [
    ["x2apci", "x2apci", "x2apic"],
    ["+nx,-hypervsor", "-hypervsor", "-hypervisor"],
    ["+sse4.2", "+sse4.2", "+sse4_2"],
    ["nonne", "nonne", "none"],
  ] as const
) {
  Deno.test(`--cpu ${text} is answered with ${suggestion}`, async () => {
    const error = assertThrows(() => parseCpu(text), UsageError);
    assertEquals(
      await error.withSuggestion(),
      `--cpu: "${word}" is not a processor feature; did you mean ${suggestion}?`,
    );
  });
}

Deno.test("an empty word is not a feature", () => {
  for (const text of ["nx,", "+", "-,nx", "--nx", "+none"]) {
    assertThrows(() => parseCpu(text), UsageError, "--cpu: ");
  }
});

kvmTest("a guest whose processor is not virtual finds no hypervisor", async () => {
  for (const cpu of ["-hypervisor", "none", "none,+nx"]) {
    const { code, stdout } = await vmexit("run", "-q", "--cpu", cpu, image("cpuid.bin64"));
    assertEquals([code, stdout.split("\n")[1]], [0, "hypervisor=none"]);
  }
  const { stdout } = await vmexit("run", "-q", "--cpu=none,+hypervisor", image("cpuid.bin64"));
  assertEquals(stdout.split("\n")[1], "hypervisor=KVMKVMKVM");
});

kvmTest("a PC boots without optional features", async () => {
  const args = ["-q", "--cpu", "none", "--machine", "pc", image("hello.bin64")];
  const { code, stdout } = await vmexit("run", ...args);
  assertEquals([code, stdout], [0, "Hello from flat64!\n"]);
});

kvmTest("a feature that KVM does not offer ends the run with 6 and a remedy", async () => {
  // Itanium's bit is none that any KVM offers.
  const result = await vmexit("run", "--cpu", "+ia64", image("hello.bin64"));
  assertEquals(result.code, 6);
  assertEquals(
    lastLine(result),
    "vmexit: this host's KVM does not offer the processor feature ia64, which --cpu asks for; " +
      "leave it out, or use a host whose processor and kernel have it",
  );
});
