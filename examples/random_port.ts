/**
 * A tiny device: a port that reads as a random number.
 *
 *     deno run --allow-all examples/random_port.ts
 *
 * @module
 */

import { Machine } from "../src/mod.ts";

const guest = new Uint8Array([
  ...[0xb9, 0x04, 0x00], //     mov cx, 4
  ...[0xe4, 0x10], //     next: in al, 0x10
  ...[0xe6, 0x11], //           out 0x11, al
  ...[0xe2, 0xfa], //           loop next
  ...[0xf4], //                 hlt
]);

using vm = Machine.create({ memory: "1M" });
vm.load(guest, { protocol: "flat16" });
vm.onPort(0x10, { read: () => crypto.getRandomValues(new Uint8Array(1))[0]! });
vm.onPort(0x11, { write: (value) => console.log(value) });
const { kind } = await vm.run({ timeoutMs: 5000 });
console.log(kind);
