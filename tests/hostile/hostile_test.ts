/**
 * The hostile guest on the command line: another one in every run of the tests.
 * `./dev fuzz --seed SEED` repeats a run.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { planHostileRun, runHostile } from "../lib/hostile.ts";
import { kvmTest } from "../lib/kvm.ts";
import { image, lastLine, vmexit } from "../lib/vmexit.ts";

const STORM_MS = 3_000;
const ENDING_MS = 1_000;
const ENDINGS = 7;

const [first] = crypto.getRandomValues(new Uint32Array(1)).map((seed) => seed & ~7);

kvmTest("the VMM survives a storm of hostile accesses without growing", async () => {
  const run = planHostileRun(first!);
  assertEquals(run.kind, "storm");
  const { problems } = await runHostile(run, STORM_MS);
  assertEquals(problems, [], `seed 0x${run.seed.toString(16)}, ${run.args.join(" ")}`);
});

for (let i = 1; i <= ENDINGS; i++) {
  kvmTest(`a hostile guest ends as documented, whatever it does: ${i}`, async () => {
    const run = planHostileRun((first! + i) >>> 0);
    const { problems } = await runHostile(run, ENDING_MS);
    assertEquals(problems, [], `seed 0x${run.seed.toString(16)}, ${run.args.join(" ")}`);
  });
}

kvmTest("the hostile guest as it is built comes to its end", async () => {
  const path = image("hostile/hostile.bin64");
  const result = await vmexit("run", "-q", "-m", "64M", "--machine", "pc", path);
  assertEquals([result.code, lastLine(result)], [
    85,
    "vmexit: guest wrote 0x2a to the debug-exit port; exit code 85",
  ]);
});
