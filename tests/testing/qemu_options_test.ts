import { assertEquals } from "@std/assert";
import { parseCpu } from "../../src/cli/options/cpu_option.ts";
import { translateQemuOptions } from "../../src/testing/qemu_options.ts";
import { CPU_FEATURES } from "../../src/x86/cpu_features.ts";

Deno.test("QEMU's options become those of run, and what has no equivalent is listed", () => {
  const words = [
    ...["-m", "2560", "-smp", "4", "--append", "-a b", "-cpu", "max,+vmx,pmu=on", "-enable-kvm"],
    ...["-machine", "pit=off", "-machine", "accel=kvm", "-device", "pc-testdev"],
    ...["-device", "isa-debug-exit,iobase=0xf4", "-device", "edu", "-initrd", "x", "-m", "4g"],
    ...["stray", "-m", "lots", "-no-reboot", "-bios"],
  ];
  assertEquals(translateQemuOptions(words, ["memory", "cpus", "initrd", "cpu"]), {
    args: ["-a b"],
    options: ["--memory=2560M", "--cpus=4", "--initrd=x", "--memory=4g"],
    untranslated: [
      "-cpu pmu=on",
      "-machine pit=off",
      "-device edu",
      "stray",
      "-m lots",
      "-bios",
    ],
  });
});

Deno.test("QEMU's debug-exit port is where QEMU has it, and what vmexit has not may be turned off", () => {
  const translated = (...words: string[]) => translateQemuOptions(words, ["debug-exit"]);
  for (
    const [device, options] of [
      ["isa-debug-exit", ["--debug-exit=0x501"]],
      ["isa-debug-exit,iobase=0x600,iosize=0x2", ["--debug-exit=0x600"]],
      ["isa-debug-exit,iobase=0xf4,iosize=0x4", []],
    ] as const
  ) {
    assertEquals(translated("-device", device), {
      args: [],
      options: [...options],
      untranslated: [],
    });
  }
  assertEquals(translated("-no-hpet", "-machine", "pc,accel=kvm,hpet=off").untranslated, []);
  assertEquals(translated("-machine", "hpet=on").untranslated, ["-machine hpet=on"]);
});

Deno.test("an option that run does not have is listed", () => {
  assertEquals(translateQemuOptions(["-smp", "2"], ["memory"]).untranslated, ["-smp 2"]);
});

/** How `-cpu VALUE` is translated: the option, and what is listed. */
function cpu(value: string): [readonly string[], readonly string[]] {
  const { options, untranslated } = translateQemuOptions(["-cpu", value], ["cpu"]);
  return [options, untranslated];
}

Deno.test("a processor with all that KVM offers does for the common models", () => {
  for (const model of ["host", "max", "qemu64", "kvm64"]) assertEquals(cpu(model), [[], []]);
  assertEquals(cpu("EPYC-Milan,-smap"), [["--cpu=-smap"], ["-cpu EPYC-Milan"]]);
});

Deno.test("features that QEMU takes away are taken away, by the names that run has for them", () => {
  assertEquals(cpu("host,-x2apic,smep=off,umip=no,-tsc-deadline,-sse4.1"), [
    ["--cpu=-smep,-umip,-x2apic,-tsc_deadline_timer,-sse4_1"],
    [],
  ]);
  assertEquals(cpu("host,-kvmclock"), [["--cpu=-kvm_clocksource"], []]);
});

Deno.test("features that QEMU adds are there if KVM has them, as without the word", () => {
  assertEquals(cpu("qemu64,+x2apic,+tsc-deadline,pcid=on"), [[], []]);
});

Deno.test("of several words for a feature that counts which counts for QEMU", () => {
  assertEquals(cpu("max,smep=off,smep=on"), [[], []]);
  assertEquals(cpu("max,+smep,smep=off"), [[], []]);
  assertEquals(cpu("max,-smep,+smep,smep=on"), [["--cpu=-smep"], []]);
});

Deno.test("properties of a processor that are no features are listed", () => {
  assertEquals(cpu("host,migratable=no,phys-bits=36,+nope,enforce,-smep=on"), [
    [],
    ["migratable=no", "phys-bits=36", "enforce", "+nope", "-smep=on"].map((part) => `-cpu ${part}`),
  ]);
});

Deno.test("run takes every feature that is translated", () => {
  for (const feature of CPU_FEATURES) {
    const [[option]] = cpu(`max,-${feature.replaceAll("_", "-")}`);
    assertEquals(parseCpu(option!.slice("--cpu=".length)).off, [feature]);
  }
});
