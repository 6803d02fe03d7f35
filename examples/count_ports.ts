/**
 * Counts the exits of a guest by port.
 *
 *     deno run --allow-all examples/count_ports.ts [IMAGE]
 *
 * @module
 */

import { Machine } from "../src/mod.ts";

using vm = Machine.create({ memory: "16M", unanswered: "ones" });
vm.load(await Deno.readFile(Deno.args[0] ?? "images/hello.elf"));

const counts = new Map<number, number>();
for (const exit of vm.exits({ timeoutMs: 5000 })) {
  if (exit.reason === "IO") counts.set(exit.port, (counts.get(exit.port) ?? 0) + 1);
}
for (const [port, count] of counts) console.log(`port 0x${port.toString(16)}: ${count}`);
