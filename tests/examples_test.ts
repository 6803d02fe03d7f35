/**
 * The experiments of examples/ print what they should, and each fits on a screen.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { kvmTest } from "./lib/kvm.ts";
import { execute, linesOf, PROJECT } from "./lib/vmexit.ts";

const MAX_LINES = 60;

/** What each experiment prints. */
const EXPECTED: Readonly<Record<string, RegExp>> = {
  "corrupt_read.ts": /^the guest read 1\n.* 2\n.* 131\n.* 4\n$/,
  "count_ports.ts": /^port 0x3f8: 12\n$/,
  "random_port.ts": /^(\d{1,3}\n){4}halt\n$/,
  "single_step.ts":
    /^7c00 {2}mov ax, 2 +ax=0\n7c03 {2}add ax, ax +ax=2\n(.*\n)*7c0a {2}hlt +ax=16\n$/,
  "unknown_msr.ts": /^RDMSR 0x12345 at rip=0x10000d\nread 00c0ffee\nguest halted \(HLT\)\n$/,
  "watch_page.ts":
    /^first read of 0x200008, rip=0x\w+\nfirst write of 0x203000, rip=0x\w+\nhalt\n$/,
};

Deno.test("each experiment is tested, and fits on a screen", () => {
  const names = [...Deno.readDirSync(`${PROJECT}examples`)].map(({ name }) => name).sort();
  assertEquals(names, Object.keys(EXPECTED));
  for (const name of names) {
    const lines = linesOf(Deno.readTextFileSync(`${PROJECT}examples/${name}`)).length;
    assert(lines <= MAX_LINES, `${name} has ${lines} lines`);
  }
});

for (const [name, output] of Object.entries(EXPECTED)) {
  kvmTest(`examples/${name} prints what it should`, async () => {
    const { code, stdout, stderr } = await execute(`${PROJECT}dev`, [
      "example",
      `examples/${name}`,
    ]);
    assertEquals(code, 0, stderr);
    assertMatch(stdout, output);
  });
}
