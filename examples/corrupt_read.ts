/**
 * Injects a fault: flips a bit in the result of the guest's n-th read of a port.
 *
 *     deno run --allow-all examples/corrupt_read.ts [N]
 *
 * @module
 */

import { Machine } from "../src/mod.ts";

const PORT = 0x10;
const guest = new Uint8Array([
  ...[0xb9, 0x04, 0x00], //     mov cx, 4
  ...[0xe4, PORT], //     next: in al, PORT
  ...[0xe6, 0x11], //           out 0x11, al
  ...[0xe2, 0xfa], //           loop next
  ...[0xf4], //                 hlt
]);

using vm = Machine.create({ memory: "1M" });
vm.load(guest, { protocol: "flat16" });
let counter = 0;
vm.onPort(PORT, { read: () => ++counter }); // a good device
vm.onPort(0x11, { write: (value) => console.log(`the guest read ${value}`) });

let left = Number(Deno.args[0] ?? 3);
for (const exit of vm.exits()) {
  if (exit.reason !== "IO" || exit.port !== PORT || --left !== 0) continue;
  exit.serve(); // the device answers
  exit.data[0]! ^= 0x80; // and the answer goes bad on its way
}
