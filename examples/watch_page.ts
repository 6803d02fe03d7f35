/**
 * Watches memory by making it fault: the pages of a lazy hole are not there until
 * the guest touches them, and each first touch is logged.
 *
 *     deno run --allow-all examples/watch_page.ts
 *
 * @module
 */

import { Machine } from "../src/mod.ts";

const guest = new Uint8Array([
  ...[0xa1, 0x08, 0x00, 0x20, 0x00], // mov eax, [0x200008]
  ...[0xa3, 0x00, 0x30, 0x20, 0x00], // mov [0x203000], eax
  ...[0xa1, 0x10, 0x00, 0x20, 0x00], // mov eax, [0x200010]: not for the first time
  ...[0xf4], //                         hlt
]);

using vm = Machine.create({ memory: "4M", holes: ["0x200000+16K:lazy"] });
vm.load(guest, { protocol: "flat32" });
vm.onMemoryFault(({ gpa, access, rip }) => {
  console.log(`first ${access} of 0x${gpa?.toString(16)}, rip=0x${rip.toString(16)}`);
  // Nothing is decided here: the machine supplies the page.
});
const { kind } = await vm.run({ timeoutMs: 5000 });
console.log(kind);
