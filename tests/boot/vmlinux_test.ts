import { assertEquals } from "@std/assert";
import { planLinux } from "../../src/boot/linux.ts";
import type { LinuxProtocol } from "../../src/boot/linux_params.ts";
import type { BootOptions, BootPlan } from "../../src/boot/plan.ts";
import { ramLayout } from "../../src/memory/ram.ts";
import { elf, HALT, PlannedMemory, refusalOf } from "../lib/images.ts";
import { bzImage } from "../lib/linux.ts";

const RAM: BootOptions = { ram: ramLayout(16 << 20) };
/** A kernel in the upper half, as Linux links it: the entry is a physical address. */
const KERNEL = elf({
  segments: [{ bytes: HALT, p_paddr: 0x20_0000n, p_vaddr: 0xffff_ffff_8020_0000n }],
  header: { e_entry: 0x20_0000n },
});

function refusal(image: Uint8Array, protocol: LinuxProtocol, options: BootOptions = RAM): string {
  return refusalOf(() => planLinux(image, protocol, options));
}

function params({ entry }: BootPlan, memory: PlannedMemory): (offset: number) => number {
  return (offset) => memory.u32(entry.registers!.rsi! + BigInt(offset));
}

Deno.test("an ELF64 kernel is entered in long mode with boot_params, at its physical entry", () => {
  const plan = planLinux(KERNEL, "linux", RAM);
  assertEquals([plan.protocol, plan.entry.mode], ["linux:64", "long"]);
  assertEquals(plan.entry.rip, 0x20_0000n);
  assertEquals(plan.entry.selectors, { code: 0x10, data: 0x18 });
  assertEquals(plan.description, "Linux vmlinux (ELF64), 64-bit entry");
});

Deno.test("an ELF32 kernel is entered in protected mode with boot_params", () => {
  const plan = planLinux(elf({ bits: 32 }), "linux", RAM);
  assertEquals([plan.protocol, plan.entry.mode], ["linux:32", "protected"]);
  assertEquals(plan.entry.rip, 0x10_0000n);
});

Deno.test("an entry that the class does not have is refused", () => {
  assertEquals(
    refusal(KERNEL, "linux:32"),
    "an ELF64 kernel has only a 64-bit entry [boot linux:64]",
  );
  assertEquals(
    refusal(elf({ bits: 32 }), "linux:16"),
    "an ELF32 kernel has only a 32-bit entry [boot linux:32]",
  );
});

Deno.test("an entry outside of what is loaded is refused", () => {
  const image = elf({ header: { e_entry: 0x30_0000n } });
  assertEquals(refusal(image, "linux"), "ELF header: e_entry 0x300000 lies in no loaded segment");
});

Deno.test("a kernel without a setup header gets one that says what it must", () => {
  const commandLine = "console=ttyS0";
  const plan = planLinux(KERNEL, "linux", { ...RAM, commandLine });
  const memory = new PlannedMemory(plan);
  const at = params(plan, memory);
  assertEquals([at(0x1fe) & 0xffff, at(0x202), at(0x206) & 0xffff], [0xaa55, 0x5372_6448, 0x20f]);
  assertEquals(at(0x210) & 0xffff, 0x01ff, "type_of_loader, loadflags");
  assertEquals(memory.string(BigInt(at(0x228))), commandLine);
  assertEquals([at(0x214), at(0x22c), at(0x238)], [0x20_0000, 0x7fff_ffff, 2047]);
});

Deno.test("a kernel that was unpacked keeps the setup header and the limits of its bzImage", () => {
  const image = bzImage({ cmdline_size: 5, root_flags: 0x1234 });
  const options = { ...RAM, payload: KERNEL };
  const plan = planLinux(image, "linux", options);
  assertEquals(plan.description, "Linux vmlinux (ELF64, unpacked from a bzImage), 64-bit entry");
  assertEquals(params(plan, new PlannedMemory(plan))(0x1f2) & 0xffff, 0x1234);
  assertEquals(plan.entry.rip, 0x20_0000n);
  assertEquals(
    refusal(image, "linux", { ...options, commandLine: "123456" }),
    "the command line has 6 bytes; at most 5 fit [commandLine]",
  );
  assertEquals(
    refusal(image, "linux:16", options),
    "an ELF64 kernel has only a 64-bit entry [boot linux:64]",
  );
});
