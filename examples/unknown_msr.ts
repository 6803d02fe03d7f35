/**
 * Traps a model-specific register that no processor has, and answers for it.
 *
 *     deno run --allow-all examples/unknown_msr.ts
 *
 * @module
 */

import { describeOutcome, Machine } from "../src/mod.ts";

using vm = Machine.create({ memory: "16M", output: Deno.stdout });
vm.load(await Deno.readFile("images/msr-unknown.bin64"), { protocol: "flat64" });
vm.onMsr(0x12345, {
  read(index, { regs }) {
    console.log(`RDMSR 0x${index.toString(16)} at rip=0x${regs.rip.toString(16)}`);
    return 0xc0ffeen;
  },
});
console.log(describeOutcome(await vm.run({ timeoutMs: 5000 })));
