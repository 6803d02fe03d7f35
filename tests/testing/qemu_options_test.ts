import { assertEquals } from "@std/assert";
import { translateQemuOptions } from "../../src/testing/qemu_options.ts";

Deno.test("QEMU's options become those of run, and what has no equivalent is listed", () => {
  const words = [
    ...["-m", "2560", "-smp", "4", "--append", "-a b", "-cpu", "max,+vmx", "-enable-kvm"],
    ...["-machine", "pit=off", "-machine", "accel=kvm", "-device", "pc-testdev"],
    ...["-device", "isa-debug-exit,iobase=0xf4", "-device", "edu", "-initrd", "x", "-m", "4g"],
    ...["stray", "-m", "lots", "-no-reboot", "-bios"],
  ];
  assertEquals(translateQemuOptions(words, ["memory", "cpus", "initrd"]), {
    args: ["-a b"],
    options: ["--memory=2560M", "--cpus=4", "--initrd=x", "--memory=4g"],
    untranslated: [
      "-cpu max,+vmx",
      "-machine pit=off",
      "-device edu",
      "stray",
      "-m lots",
      "-bios",
    ],
  });
});

Deno.test("an option that run does not have is listed", () => {
  assertEquals(translateQemuOptions(["-smp", "2"], ["memory"]).untranslated, ["-smp 2"]);
});
