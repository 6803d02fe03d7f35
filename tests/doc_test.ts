/**
 * The examples of the documentation, each run for real: those of the README,
 * of docs/library.md and of every module.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { kvmTest } from "./lib/kvm.ts";
import { execute, PROJECT } from "./lib/vmexit.ts";

/** There are more; with fewer, they were not found. */
const AT_LEAST = 150;

kvmTest("every example of the documentation runs", async () => {
  const { code, stdout, stderr } = await execute(`${PROJECT}dev`, ["test:doc"], {
    env: { NO_COLOR: "1" },
  });
  assertEquals(code, 0, stdout + stderr);
  const passed = /^ok \| (\d+) passed/m.exec(stdout)?.[1];
  assert(Number(passed) >= AT_LEAST, stdout);
});
