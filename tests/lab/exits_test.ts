/**
 * A loop over a machine's exits: what it gets, what its answers do, and where the
 * guest is when the loop ends.
 *
 * @module
 */

import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  type Exit,
  Machine,
  type MachineOptions,
  type Outcome,
  UnansweredExitError,
} from "../../src/mod.ts";
import { code } from "../lib/guest.ts";
import { imageFile } from "../lib/images.ts";
import { kvmTest } from "../lib/kvm.ts";
import { GENEROUS_MS } from "../lib/machine.ts";

/** A machine that runs a few instructions in real mode. */
function machine(listing: string, options: MachineOptions = {}): Machine {
  const vm = Machine.create({ memory: "1M", ...options });
  vm.load(code(listing), { protocol: "flat16" });
  return vm;
}

/** Runs to the end in a loop that looks at each exit. */
function drain(
  vm: Machine,
  look: (exit: Exit) => void = () => {},
  timeoutMs = GENEROUS_MS,
): Outcome {
  const exits = vm.exits({ timeoutMs });
  for (let next = exits.next();; next = exits.next()) {
    if (next.done) return next.value;
    look(next.value);
  }
}

/** The reasons of the exits that a loop gets. */
function reasons(vm: Machine): string[] {
  return Array.from(vm.exits({ timeoutMs: GENEROUS_MS }), ({ reason }) => reason);
}

kvmTest("the loop gets every exit, and the data that a guest writes", () => {
  using vm = Machine.create({ memory: "16M" });
  vm.load(imageFile("hello.elf"));
  let text = "";
  const outcome = drain(vm, (exit) => {
    if (exit.reason === "IO" && exit.port === 0x3f8) text += String.fromCharCode(...exit.data);
    else assertEquals(exit.reason, "HLT");
  });
  assertEquals(text, "Hello, KVM!\n");
  assertEquals(outcome, { kind: "halt" });
});

kvmTest("devices serve the exits that the loop does not answer", () => {
  const printed: number[] = [];
  using vm = Machine.create({ memory: "16M", output: (byte) => printed.push(byte) });
  vm.load(imageFile("hello.elf"));
  drain(vm);
  assertEquals(String.fromCharCode(...printed), "Hello, KVM!\n");
});

kvmTest("no device sees an answered exit", () => {
  const printed: number[] = [];
  using vm = Machine.create({ memory: "16M", output: (byte) => printed.push(byte) });
  vm.load(imageFile("hello.elf"));
  drain(vm, (exit) => exit.reason === "IO" && exit.answer());
  assertEquals(printed, []);
});

kvmTest("the answer to an IN of each size is what the guest reads", () => {
  // in al, 0x10; hlt / in ax, 0x10; hlt / in eax, 0x10; hlt
  for (
    const [listing, rax] of [["e4 10 f4", 0x44n], ["e5 10 f4", 0x3344n], [
      "66 e5 10 f4",
      0x1122_3344n,
    ]] as const
  ) {
    using vm = machine(listing);
    drain(vm, (exit) => exit.reason === "IO" && exit.answer(0x1122_3344));
    assertEquals(vm.vcpu.regs.rax, rax);
  }
});

kvmTest("a string IN is answered with all its bytes, or with one number for each item", () => {
  // mov di, 0x500; mov cx, 4; cld; mov dx, 0x10; rep insw; hlt
  const listing = "bf 00 05 b9 04 00 fc ba 10 00 f3 6d f4";
  for (const asBytes of [false, true]) {
    using vm = machine(listing);
    drain(vm, (exit) => {
      if (exit.reason !== "IO") return;
      exit.answer(asBytes ? new Uint8Array(exit.data.length).fill(0x33) : 0x2211);
    });
    const items = asBytes ? [0x33, 0x33] : [0x11, 0x22];
    assertEquals([...vm.memory.read(0x500n, 8)], [items, items, items, items].flat());
  }
});

kvmTest("the answer to an MMIO read of 8 bytes is what the guest reads", () => {
  using vm = Machine.create({ memory: "2M" });
  // mov eax, 0xd0000000; mov rax, [rax]; hlt
  vm.load(code("b8 00 00 00 d0 48 8b 00 f4"), { protocol: "flat64" });
  drain(vm, (exit) => exit.reason === "MMIO" && exit.answer(0x1122_3344_5566_7788n));
  assertEquals(vm.vcpu.regs.rax, 0x1122_3344_5566_7788n);
});

kvmTest("an unanswered read is an error that says where, and the exit stays pending", () => {
  using vm = machine("e4 10 f4");
  const error = assertThrows(() => drain(vm), UnansweredExitError);
  assertStringIncludes(error.message, "the 1-byte IN from port 0x10 at rip=0x7c0");
  assertStringIncludes(error.message, "exit.answer(value)");
  assertThrows(() => vm.runSync(), UnansweredExitError);
  vm.onPort(0x10, { read: () => 9 });
  assertEquals(vm.runSync(), { kind: "halt" });
  assertEquals(vm.vcpu.regs.rax, 9n);
});

kvmTest("an empty bus answers with all ones where that is asked for", () => {
  using vm = machine("e4 10 f4", { unanswered: "ones" });
  drain(vm);
  assertEquals(vm.vcpu.regs.rax, 0xffn);
});

kvmTest("an answer to a read needs a value, and enough of it", () => {
  using vm = machine("e4 10 f4");
  drain(vm, (exit) => {
    if (exit.reason !== "IO") return;
    assertThrows(() => exit.answer(), TypeError, "needs a value");
    assertThrows(() => exit.answer(new Uint8Array()), RangeError, "the answer has 0");
    assertEquals(exit.answered, false);
    exit.answer(1);
    assertEquals(exit.answered, true);
  });
});

kvmTest("an exit cannot be answered after the guest has run on", () => {
  using vm = machine("e6 10 f4");
  const seen: Exit[] = [];
  drain(vm, (exit) => seen.push(exit));
  assertThrows(() => seen[0]!.answer(), Error, "the guest has run on since this exit");
});

kvmTest("serve() lets the loop see, and change, what a device answers", () => {
  using vm = machine("e4 10 f4");
  vm.onPort(0x10, { read: () => 0x0f });
  drain(vm, (exit) => {
    if (exit.reason !== "IO") return;
    exit.serve();
    assertEquals(exit.data[0], 0x0f);
    exit.data[0]! ^= 0xff;
  });
  assertEquals(vm.vcpu.regs.rax, 0xf0n);
});

kvmTest("a guest resumes at the exit at which a loop broke off", () => {
  const written: number[] = [];
  // out 0x10, al; inc ax; out 0x10, al; hlt
  using vm = machine("e6 10 40 e6 10 f4");
  vm.onPort(0x10, { write: (value) => void written.push(value) });
  for (const exit of vm.exits()) {
    assertEquals(exit.reason, "IO");
    break;
  }
  assertEquals(written, []);
  assertEquals(vm.runSync(), { kind: "halt" });
  assertEquals(written, [0, 1]);
});

kvmTest("an exit can still be answered after its loop broke off", () => {
  using vm = machine("e4 10 f4");
  for (const exit of vm.exits()) {
    if (exit.reason === "IO") exit.answer(5);
    break;
  }
  assertEquals(vm.runSync(), { kind: "halt" });
  assertEquals(vm.vcpu.regs.rax, 5n);
});

kvmTest("a machine may be disposed of in the middle of a loop, which then fails", () => {
  const left = machine("e4 10 f4");
  for (const _exit of left.exits()) break;
  left[Symbol.dispose]();
  const vm = machine("e4 10 f4");
  assertThrows(
    () => {
      for (const exit of vm.exits()) {
        vm[Symbol.dispose]();
        assertThrows(() => exit.answer(), Error, "vCPU 0 was used after it was disposed");
      }
    },
    Error,
    "the machine was used after it was disposed",
  );
});

kvmTest("loops and runs may be mixed", () => {
  using vm = machine("e6 10 e6 11 e6 12 e6 13 f4"); // out 0x10, al; out 0x11, al; …; hlt
  const ports: number[] = [];
  const one = vm.exits();
  const other = vm.exits();
  for (const exits of [one, other, one]) {
    const { value } = exits.next();
    if (value && "reason" in value && value.reason === "IO") ports.push(value.port);
  }
  assertEquals(ports, [0x10, 0x11, 0x12]);
  assertEquals(vm.runSync(), { kind: "halt" });
});

kvmTest("a loop ends with the time that it is given", () => {
  using vm = machine("eb fe");
  assertEquals(drain(vm, undefined, 20), { kind: "timeout", timeoutMs: 20 });
});

kvmTest("stop() in a loop ends it", () => {
  using vm = machine("e6 10 eb fc"); // out 0x10, al; jmp back
  let count = 0;
  const outcome = drain(vm, () => ++count === 3 && vm.stop());
  assertEquals([outcome.kind, count], ["stopped", 3]);
});

kvmTest("a HLT that is answered does not end the run", () => {
  using vm = machine("f4 40 f4"); // hlt; inc ax; hlt
  let halts = 0;
  drain(vm, (exit) => exit.reason === "HLT" && ++halts === 1 && exit.answer());
  assertEquals(vm.vcpu.regs.rax, 1n);
});

kvmTest("memory faults are resolved and not handed out, disguised or not", () => {
  using vm = Machine.create({ memory: "2M", holes: ["0x20000+4K:lazy"] });
  // mov eax, [0x20000]; hlt
  vm.load(code("a1 00 00 02 00 f4"), { protocol: "flat32" });
  assertEquals(reasons(vm), ["HLT"]);
});

kvmTest("a fetch that fails is resolved, and what cannot be emulated is handed out", () => {
  using vm = Machine.create({ memory: "2M", holes: ["0x20000+4K:lazy"] });
  // jmp 0x20ffe: the hole's last instruction, add [eax], al, and behind it: hlt
  vm.load(code("e9 f9 0f f2 ff"), { protocol: "flat32" });
  vm.memory.write(0x2_1000n, code("f4"));
  assertEquals(reasons(vm), ["HLT"]);
  vm.load(code("62 f4"), { protocol: "flat64" }); // no instruction
  assertEquals(reasons(vm).every((reason) => /INTERNAL_ERROR|SHUTDOWN/.test(reason)), true);
});

kvmTest("the exits of all vCPUs come to the loop, each with its vCPU", () => {
  using vm = Machine.create({ memory: "16M", machine: "pc", cpus: 2 });
  vm.load(imageFile("smp/hello.mb"));
  const cpus = new Set<number>();
  let text = "";
  drain(vm, (exit) => {
    if (exit.reason !== "IO" || exit.port !== 0x3f8) return;
    cpus.add(exit.vcpu.id);
    assertStringIncludes(exit.instruction?.text ?? "", "out");
    text += String.fromCharCode(...exit.data);
  });
  assertEquals(cpus, new Set([0, 1]), text);
});

kvmTest("R7: the state of all vCPUs can be read and written at the exit of one", () => {
  using vm = Machine.create({ memory: "16M", machine: "pc", cpus: 3 });
  vm.load(imageFile("smp/hello.mb"));
  let text = "";
  let turns = 0n;
  drain(vm, (exit) => {
    if (exit.reason === "IO" && exit.port === 0x3f8) text += String.fromCharCode(...exit.data);
    for (const { regs } of vm.vcpus) {
      assertEquals(regs.r15, turns);
      regs.r15 = turns + 1n;
    }
    turns++;
  });
  for (const cpu of [0, 1, 2]) assertStringIncludes(text, `cpu ${cpu}`);
  assertEquals(vm.vcpus.map(({ regs }) => regs.r15), [turns, turns, turns]);
});
