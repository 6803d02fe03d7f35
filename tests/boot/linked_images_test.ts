/**
 * Kernels as GNU ld links them, with the options that people use: each boots, on a
 * bare machine and on a PC.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { missingTools } from "../../images/build.ts";
import { planBoot } from "../../src/boot/detect.ts";
import { firmwareOptions } from "../../src/firmware/tables.ts";
import { ramLayout } from "../../src/memory/ram.ts";
import { VirtualMachine } from "../../src/machine/machine.ts";
import { kvmTest } from "../lib/kvm.ts";
import { TempDir } from "../lib/vmexit.ts";

const missing = await missingTools();

/** Prints K and ends the run with 0x21; the same bytes are the same code at any width. */
const CODE = `
        .text
        .globl _start
_start: mov $'K', %al
        out %al, $0xe9
        mov $0x21, %al
        out %al, $0xf4
        hlt
        .data
        .long   5
        .bss
        .skip   8192
`;
const MULTIBOOT = `
        .section .multiboot, "a"
        .align  4
        .long   0x1badb002, 0, -0x1badb002
`;
/** The PVH entry behind a note that is padded to 8, as compilers put it into every object. */
const PVH = `
        .section .note.gnu.property, "a", @note
        .align  8
        .long   4, 16, 5
        .asciz  "GNU"
        .long   0xc0000002, 4, 3, 0
        .section .note.Xen, "a", @note
        .align  4
        .long   4, 4, 18
        .asciz  "Xen"
        .long   _start
`;

async function run(tool: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(tool, { args }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

/** Assembles and links a kernel. */
async function link(source: string, bits: 32 | 64, ...options: string[]): Promise<Uint8Array> {
  using folder = new TempDir();
  const object = `${folder.path}/object`;
  const linked = `${folder.path}/linked`;
  await run("as", `--${bits}`, "-mx86-used-note=no", "-o", object, folder.file("a.S", source));
  const emulation = bits === 64 ? "elf_x86_64" : "elf_i386";
  await run("ld", "-m", emulation, "--no-warn-rwx-segments", ...options, "-o", linked, object);
  return Deno.readFileSync(linked);
}

const AT_1M = "-Ttext=0x100000";
const VARIANTS: readonly (readonly [protocol: string, bits: 32 | 64, options: string[]])[] = [
  ["elf", 32, [AT_1M]],
  ["elf", 64, [AT_1M]],
  ["elf", 32, [AT_1M, "-pie"]],
  ["elf", 64, [AT_1M, "-pie", "--no-dynamic-linker"]],
  ["elf", 32, ["-Ttext=0"]],
  ["elf", 32, ["-Ttext=0xf8000"]],
  ["multiboot", 32, [AT_1M, "-n"]],
  ["multiboot", 32, [AT_1M, "-N"]],
  ["multiboot", 32, [AT_1M, "-z", "noseparate-code"]],
  ["multiboot", 64, [AT_1M, "-z", "noseparate-code"]],
  ["pvh", 32, ["-Ttext-segment=0x100000"]],
  ["pvh", 64, ["-Ttext-segment=0x100000"]],
  ["pvh", 64, ["-Ttext-segment=0x100000", "-z", "noseparate-code", "--build-id"]],
];

for (const [protocol, bits, options] of VARIANTS) {
  const name = `ld ${options.join(" ")}, ${bits} bits: boots by ${protocol}`;
  if (missing !== undefined) {
    Deno.test({ name: `${name} (ignored: ${missing})`, ignore: true, fn() {} });
    continue;
  }
  kvmTest(name, async () => {
    const header = protocol === "multiboot" ? MULTIBOOT : protocol === "pvh" ? PVH : "";
    const image = await link(header + CODE, bits, ...options);
    for (const type of ["bare", "pc"] as const) {
      const output: number[] = [];
      using machine = new VirtualMachine({
        memoryBytes: 16 << 20,
        type,
        output: (byte) => output.push(byte),
      });
      const ram = machine.memory.ranges;
      const firmware = type === "pc" ? firmwareOptions(ram, 1) : {};
      const plan = planBoot(image, "", "auto", { ram, ...firmware });
      assertEquals(plan.protocol, protocol);
      machine.boot(plan);
      assertEquals(machine.runFor(10_000), { kind: "debug_exit", value: 0x21 }, type);
      assertEquals(String.fromCharCode(...output), "K", type);
    }
  });
}

if (missing === undefined) {
  Deno.test("a Multiboot header that ld puts too far behind is warned of", async () => {
    for (const options of [[AT_1M], [AT_1M, "-z", "max-page-size=0x200000"]]) {
      const image = await link(MULTIBOOT + CODE, 32, ...options);
      const { protocol, warnings } = planBoot(image, "", "auto", { ram: ramLayout(16 << 20) });
      assertEquals([protocol, warnings.length], ["elf", 1]);
      assertMatch(warnings[0]!, /^the Multiboot header at 0x[0-9a-f]+ is ignored: it must lie in/);
    }
  });
}
