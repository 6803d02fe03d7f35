/**
 * Steps through a guest and prints each instruction before it runs.
 *
 *     deno run --allow-all examples/single_step.ts [STEPS]
 *
 * @module
 */

import { Machine } from "../src/mod.ts";

const guest = new Uint8Array([
  ...[0xb8, 0x02, 0x00], //     mov ax, 2
  ...[0x01, 0xc0], //     next: add ax, ax
  ...[0x3d, 0x10, 0x00], //     cmp ax, 16
  ...[0x75, 0xf9], //           jne next
  ...[0xf4], //                 hlt
]);

using vm = Machine.create({ memory: "1M" });
vm.load(guest, { protocol: "flat16" });
const { vcpu } = vm;
vcpu.singleStep = true;
let left = Number(Deno.args[0] ?? 20);
const show = () => {
  const { rip, rax } = vcpu.regs;
  console.log(`${rip.toString(16)}  ${vcpu.disassemble().padEnd(20)} ax=${rax}`);
};
show();
for (const exit of vm.exits()) {
  if (exit.reason === "DEBUG") show();
  if (--left === 0) break;
}
