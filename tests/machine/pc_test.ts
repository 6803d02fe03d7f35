/**
 * The PC on real KVM: guests that use its devices, and the wiring between them.
 *
 * @module
 */

import { assert, assertEquals, assertGreater, assertLess, assertThrows } from "@std/assert";
import { planBoot } from "../../src/boot/detect.ts";
import { RSDP_GPA } from "../../src/firmware/tables.ts";
import { firmwareTables } from "../../src/firmware/tables.ts";
import { encodeE820, MemoryType } from "../../src/firmware/memory_map.ts";
import type { SerialBackend } from "../../src/devices/serial_backend.ts";
import { FwCfgError } from "../../src/firmware/fw_cfg_items.ts";
import { ADDRESS_MAP } from "../../src/machine/address_map.ts";
import { exitCodeOf } from "../../src/machine/outcome.ts";
import { code } from "../lib/guest.ts";
import { imageFile } from "../lib/images.ts";
import { kvmTest } from "../lib/kvm.ts";
import { TestMachine, type TestMachineOptions, traced } from "../lib/machine.ts";

const PC = { type: "pc" } as const;
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Where HLT with interrupts off is: it is looked for about every 100 ms. */
const SOON_MS = 2_000;

for (
  const [image, output, kind] of [
    ["pc/timer.bin16", "tick\n".repeat(5) + "off\n", "power_off"],
    ["pc/rtc.bin16", "period\n".repeat(5) + "off\n", "power_off"],
    ["pc/io-apic.bin32", "ticked by input 2\n", "power_off"],
    ["pc/acpi.bin32", "FACP\nAPIC\nDSDT\ncpus=00000001\n", "power_off"],
    [
      "pc/mp-table.bin32",
      "processors=01\nbuses=01\nio-apics=01\ninterrupts=0f\nlocal=02\n",
      "halt",
    ],
    ["hello.bin16", "Hello from flat16!\n", "halt"],
    ["hello.mb", "Hello from Multiboot!\n", "halt"],
    ["hello.kludge", "Hello from a kludge!\n", "halt"],
  ] as const
) {
  kvmTest(`${image} runs on a PC as its source says`, async () => {
    using test = new TestMachine(image, PC);
    const outcome = await test.run();
    assertEquals([test.output, outcome], [output, { kind }]);
    assertEquals(exitCodeOf(outcome), 0);
  });
}

kvmTest("fw_cfg tells of the machine, by ports and by DMA", async () => {
  const options = {
    ...PC,
    commandLine: "one two",
    fwCfg: [{ name: "opt/greeting", bytes: bytesOf("good day") }],
  };
  const { output, outcome } = await traced("pc/fw-cfg.bin32", options);
  assertEquals(outcome, { kind: "halt" });
  assertEquals(output, "QEMU\nid=00000003\ncpus=0001\nram=00000010\none two\ngood day\n");
  assertEquals((await traced("pc/fw-cfg.bin32", PC)).outcome, { kind: "debug_exit", value: 2 });
});

/** The first bytes of an item of a machine's fw_cfg. */
function fwCfgItem({ machine: { ports } }: TestMachine, selector: number, sizeBytes: number) {
  ports.write(0x510, 2, selector);
  return Uint8Array.from({ length: sizeBytes }, () => ports.read(0x511, 1));
}

kvmTest("fw_cfg has the memory map of the plan, with the tables at the end of RAM", () => {
  using test = new TestMachine("linux-info.bzimage", PC);
  const { memory } = test.machine;
  const plan = planBoot(imageFile("linux-info.bzimage"), "", "auto", { ram: memory.ranges });
  assertEquals(plan.memoryMap.at(-1)!.type, MemoryType.reserved);
  const expected = encodeE820(plan.memoryMap);
  assertEquals(fwCfgItem(test, 0x20, expected.length), expected, "etc/e820");
});

kvmTest("fw_cfg tells where a kernel, its initrd and its command line are", () => {
  const initrd = bytesOf("an initrd");
  using test = new TestMachine("linux-info.bzimage", {
    ...PC,
    commandLine: "console=ttyS0",
    modules: [{ name: "initrd", bytes: initrd }],
  });
  const { memory } = test.machine;
  const number = (selector: number): number =>
    new DataView(fwCfgItem(test, selector, 4).buffer).getUint32(0, true);
  assertEquals(number(0x0b), initrd.length);
  assertEquals(fwCfgItem(test, 0x12, initrd.length), initrd);
  assertEquals(memory.read(BigInt(number(0x0a)), initrd.length), initrd);
  assertEquals(memory.read(BigInt(number(0x13)), 13), bytesOf("console=ttyS0"));
  const kernel = fwCfgItem(test, 0x11, number(0x08));
  assertGreater(kernel.length, 0);
  assertEquals(memory.read(BigInt(number(0x07)), kernel.length), kernel);
});

kvmTest("a machine with a file that fw_cfg cannot offer is not made", () => {
  const fwCfg = [{ name: "x".repeat(56), bytes: new Uint8Array() }];
  assertThrows(() => new TestMachine("hlt.bin16", { ...PC, fwCfg }), FwCfgError, "file name");
});

/** A backend that sends once the guest has said a word. */
function talker(word: string, answer: string, output: number[]): SerialBackend {
  let sent = false;
  return {
    write: (byte) => output.push(byte),
    poll: () => {
      if (sent || !String.fromCharCode(...output).includes(word)) return undefined;
      sent = true;
      return bytesOf(answer);
    },
    [Symbol.dispose]: () => {},
  };
}

kvmTest("input on a serial port interrupts a guest that waits in HLT", async () => {
  const output: number[] = [];
  const serial = [talker("ready", "a line longer than the FIFO\nq", output)];
  using test = new TestMachine("pc/serial-irq.bin16", { ...PC, serial });
  assertEquals(await test.run(), { kind: "halt" });
  assertEquals(String.fromCharCode(...output), "ready\na line longer than the FIFO\n");
});

for (
  const [what, listing, kind] of [
    ["the keyboard controller's pulse", "b0 fe e6 64", "reset"],
    ["port 0x92", "b0 01 e6 92", "reset"],
    ["port 0xcf9", "ba f9 0c b0 06 ee", "reset"],
    ["pvpanic", "ba 05 05 b0 01 ee", "panic"],
    ["PM1a control", "ba 04 06 b8 00 20 ef", "power_off"],
  ] as const
) {
  kvmTest(`a guest ends the run by ${what}`, async () => {
    // … and then shuts down by a triple fault, if it comes to that
    const { outcome } = await traced(code(`${listing} 0f 0b`), { ...PC, protocol: "flat16" });
    assertEquals(outcome, { kind });
  });
}

kvmTest("a panic has its own exit code", () => {
  assertEquals(exitCodeOf({ kind: "panic" }), 34);
});

function flat(listing: string, protocol: "flat16" | "flat32" = "flat16"): TestMachine {
  return new TestMachine(code(listing), { ...PC, protocol } satisfies TestMachineOptions);
}

kvmTest("a halt that nothing can end is found soon", () => {
  using test = flat("fa f4"); // cli; hlt
  const start = performance.now();
  assertEquals(test.machine.runFor(Infinity), { kind: "halt" });
  assertLess(performance.now() - start, SOON_MS);
});

for (
  const [what, listing, protocol] of [
    ["with interrupts on", "fb f4 eb fc", "flat16"],
    [
      "with an input of the I/O APIC that delivers NMIs", // mov [0xfec00000], 0x18; mov [0xfec00010], 0x400
      "c7 05 00 00 c0 fe 18 00 00 00  c7 05 10 00 c0 fe 00 04 00 00  fa f4",
      "flat32",
    ],
    [
      // The PIT stands still (mode 5), whose ticks LINT0 would deliver; mov [0xfee00350], 0x400.
      "with a local input that delivers NMIs",
      "b0 3a e6 43 31 c0 e6 40 e6 40  " +
      "c7 05 f0 00 e0 fe ff 01 00 00  c7 05 50 03 e0 fe 00 04 00 00  fa f4",
      "flat32",
    ],
  ] as const
) {
  kvmTest(`a halt ${what} may end`, () => {
    using test = flat(listing, protocol);
    assertEquals(test.machine.runFor(150), undefined);
  });
}

kvmTest("PICs and PIT are as firmware leaves them: INT 8 comes 18 times a second", () => {
  // The handler counts at 0x500 and ends the run, by power-off, at the fifth tick.
  const listing = "31 c0 8e d8 c7 06 20 00 11 7c a3 22 00 fb f4 eb fd fe 06 00 05 80 3e 00 " +
    "05 05 72 07 ba 04 06 b8 00 20 ef b0 20 e6 20 cf";
  using test = flat(listing);
  const start = performance.now();
  assertEquals(test.machine.runFor(5000), { kind: "power_off" });
  const elapsed = performance.now() - start;
  assert(elapsed > 200 && elapsed < 2000, `five ticks took ${elapsed} ms`);
});

kvmTest("the BIOS counts ticks, and INT 1Ah tells them", () => {
  // sti; 1: mov ah, 0; int 1ah; cmp dx, 3; jb 1b; mov dx, 0x604; mov ax, 0x2000; out dx, ax
  using test = flat("fb b4 00 cd 1a 83 fa 03 72 f7 ba 04 06 b8 00 20 ef f4");
  assertEquals(test.machine.runFor(5000), { kind: "power_off" });
});

kvmTest("an exception that a real-mode guest does not handle shuts it down", () => {
  const exceptions = [
    ["bare", "0f 0b"], // ud2
    ["pc", "0f 0b"],
    ["bare", "31 c9 f7 f1"], // xor cx, cx; div cx
    ["pc", "31 c9 f7 f1"],
  ] as const;
  for (const [type, listing] of exceptions) {
    using test = new TestMachine(code(listing), { type, protocol: "flat16" });
    assertEquals(test.machine.runFor(5000)?.kind, "shutdown", `${type}: ${listing}`);
  }
});

kvmTest("a jump to the reset vector, or INT 19h, resets", () => {
  for (const listing of ["ea f0 ff 00 f0", "cd 19", "cd 18"]) {
    using test = flat(listing);
    assertEquals(test.machine.runFor(5000), { kind: "reset" });
  }
});

kvmTest("the PC has no HPET: no table has one, and its usual place reads as all ones", () => {
  using test = new TestMachine("hello.mb", PC);
  const names = firmwareTables(test.machine.memory.ranges, 1).map(({ name }) => name);
  assert(!names.includes("HPET"), names.join());
  const data = new Uint8Array(8);
  assertEquals(test.machine.mmio.read(0xfed0_0000, data), undefined);
  assertEquals(data, new Uint8Array(8).fill(0xff));
});

kvmTest("a guest that spins with interrupts off has not halted", () => {
  using test = flat("fa eb fe");
  assertEquals(test.machine.runFor(150), undefined);
});

kvmTest("all devices answer where the address map says, and nowhere else", () => {
  using test = new TestMachine("hlt.bin16", PC);
  const { ports, mmio } = test.machine;
  const claimed = new Set<number>();
  for (const { space, start, size, device } of ADDRESS_MAP) {
    for (let at = start; at < start + Math.min(size, 16); at++) {
      const answers = (space === "port" ? ports.deviceAt(at) : mmio.deviceAt(at)) !== undefined;
      assertEquals(answers, device !== "kernel", `${space} 0x${at.toString(16)}`);
    }
    if (space === "port") { for (let i = 0; i < size; i++) claimed.add(start + i); }
  }
  for (let port = 0; port < 0x10000; port++) {
    assert(claimed.has(port) || !ports.claims(port), `port 0x${port.toString(16)}`);
  }
});

kvmTest("the speaker's port shows the timer without an exit", async () => {
  // in al, 0x61; out 0xf4, al
  const { exits } = await traced(code("e4 61 e6 f4"), { ...PC, protocol: "flat16" });
  assertEquals(exits.map((exit) => exit.reason === "IO" && exit.port), [0xf4]);
});

kvmTest("the devices know the machine that they are in", () => {
  using test = new TestMachine("hlt.bin16", { ...PC, memoryBytes: 64 << 20 });
  const { ports } = test.machine;
  const cmos = (register: number): number => {
    ports.write(0x70, 1, register);
    return ports.read(0x71, 1);
  };
  assertEquals(cmos(0x34) | cmos(0x35) << 8, (48 << 20) / 65536);
  ports.write(0xcf8, 4, 0x8000_0000);
  assertEquals([ports.read(0xcf8, 4), ports.read(0xcfc, 4)], [0x8000_0000, 0xffff_ffff]);
  const before = ports.read(0x608, 4);
  while (ports.read(0x608, 4) === before);
  assertGreater(ports.read(0x608, 4), before);
  ports.write(0xe4, 4, 0x7c00); // a page of RAM is flushed; one outside RAM has no mapping
  ports.write(0xe4, 4, 0xd000_0000);
  assertEquals(test.machine.runFor(Infinity), { kind: "halt" });
});

kvmTest("the firmware's tables are in memory, and an image may take their place", () => {
  const text = (test: TestMachine): string =>
    new TextDecoder().decode(test.machine.memory.read(BigInt(RSDP_GPA), 8));
  using test = new TestMachine("hlt.bin16", PC);
  assertEquals(text(test), "RSD PTR ");
  using other = new TestMachine(bytesOf("an image's bytes"), {
    ...PC,
    protocol: "flat32",
    loadAddress: BigInt(RSDP_GPA),
  });
  assertEquals(text(other), "an image");
  using small = new TestMachine("hlt.bin16", { ...PC, memoryBytes: 64 << 10 });
  assertEquals(small.machine.runFor(Infinity), { kind: "halt" });
});

kvmTest("a bare machine has the serial ports that something is plugged into", async () => {
  const sent: string[] = [];
  const plug: SerialBackend = {
    write: (byte) => sent.push(String.fromCharCode(byte)),
    [Symbol.dispose]: () => {},
  };
  // mov al, 'x'; mov dx, 0x2f8; out dx, al; mov dx, 0x3e8; out dx, al; hlt
  const guest = code("b0 78 ba f8 02 ee ba e8 03 ee f4");
  const { handlers } = await traced(guest, { protocol: "flat16", serial: [undefined, plug] });
  assertEquals([sent, handlers], [["x"], ["uart1", undefined, undefined]]);
});
