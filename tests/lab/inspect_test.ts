/**
 * What `console.log` shows of the library's objects.
 *
 * @module
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { inspect as nodeInspect } from "node:util";
import { Machine } from "../../src/mod.ts";
import { code } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";

/** A machine that runs a few instructions in real mode. */
function machine(listing: string): Machine {
  const vm = Machine.create({ memory: "1M", holes: ["0x20000+4K:lazy"] });
  vm.load(code(listing), { protocol: "flat16" });
  return vm;
}

kvmTest("registers are shown in hexadecimal, by Deno's console and by Node.js's", () => {
  using vm = machine("f4");
  const { regs, sregs, fpu, debugRegs, events } = vm.vcpu;
  regs.rax = 0x1234n;
  for (const text of [Deno.inspect(regs), nodeInspect(regs)]) {
    assertStringIncludes(text, "rax: 0x0000000000001234, rbx: 0x0");
    assertStringIncludes(text, "rip: 0x0000000000007c00");
  }
  assertStringIncludes(Deno.inspect(sregs), "cs: { selector: 0x0, base: 0x0, limit: 0xffff,");
  assertStringIncludes(Deno.inspect(fpu), "fcw: 0x37f");
  assertStringIncludes(Deno.inspect(debugRegs), "dr7: 0x400");
  assertStringIncludes(Deno.inspect(events), "nmi: { injected: 0, pending: 0");
  for (const state of [regs, sregs, fpu, debugRegs, events]) {
    assertEquals(/Getter|\bdigits|undefined/.test(Deno.inspect(state)), false);
  }
});

kvmTest("an exit is shown with its payload and its instruction", () => {
  using vm = machine("b0 48 e6 10 f4"); // mov al, 0x48; out 0x10, al; hlt
  for (const exit of vm.exits()) {
    const text = Deno.inspect(exit).replaceAll(/\s+/g, " ");
    assertMatch(
      text,
      /^IO \{ direction: "out", port: 0x10, size: 1, count: 1, data: <48>, rip: 0x/,
    );
    assertMatch(
      text,
      /instruction: \{ rip: 0x7c02, text: "out 0x10, al" \}, vcpu: 0, answered: false/,
    );
    assertEquals(
      Deno.inspect(exit.instruction),
      'Instruction { rip: 0x7c02, gva: 0x7c02, text: "out 0x10, al", bytes: <e6 10> }',
    );
    break;
  }
});

kvmTest("an earlier exit is shown without its instruction", () => {
  using vm = machine("e6 10 f4");
  const [first] = [...vm.exits()];
  assertMatch(Deno.inspect(first), /^IO \{[^]*answered: false/);
});

kvmTest("machines, vCPUs and memory are shown in a few words", () => {
  using vm = machine("f4");
  assertEquals(
    Deno.inspect(vm).replaceAll(/,?\s+/g, " "),
    'Machine { machine: "bare" memory: "1M" vcpus: 1 holes: ["0x20000+0x1000:lazy"] state: "loaded" }',
  );
  vm.runSync();
  assertStringIncludes(Deno.inspect(vm), 'state: "halt"');
  assertEquals(Deno.inspect(vm.memory), 'GuestRam { size: "1M" }');
  assertMatch(Deno.inspect(vm.vcpu), /^Vcpu 0 \{\n {2}instruction: ".*", bits: 16,\n {2}regs: /);
  vm[Symbol.dispose]();
  assertStringIncludes(Deno.inspect(vm), 'state: "disposed"');
  assertEquals(Deno.inspect(vm.vcpu), "Vcpu 0 (disposed)");
});

kvmTest("an outcome is shown as it is, and after a fault with the registers", () => {
  using halted = machine("f4");
  assertEquals(Deno.inspect(halted.runSync()), '{ kind: "halt" }');
  using vm = Machine.create({ memory: "2M", holes: ["0x20000+4K:none"] });
  vm.load(code("a1 00 00 02 00 f4"), { protocol: "flat32" }); // mov eax, [0x20000]; hlt
  const text = Deno.inspect(vm.runSync());
  assertStringIncludes(text, 'kind: "memory_fault"');
  assertStringIncludes(text, "gpa: 0x20000");
  assertStringIncludes(text, "rip: 0x0000000000100000");
  assertEquals(/\d+n\b/.test(text), false, text);
});

kvmTest("a memory fault is shown in hexadecimal", () => {
  using vm = Machine.create({ memory: "2M", holes: ["0x20000+4K:lazy"] });
  vm.load(code("a1 00 00 02 00 f4"), { protocol: "flat32" });
  let text = "";
  vm.onMemoryFault((fault) => void (text = Deno.inspect(fault)));
  vm.runSync();
  assertStringIncludes(text, "gpa: 0x20000");
});
