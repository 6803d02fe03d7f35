/**
 * Ends this process when the one that started it ends: `vmexit test`, or the script of a
 * self-extracting executable.
 *
 * @module
 */

import { dieWithParent } from "../../ffi/parent.ts";

/** The environment variable with the process id of the starter. */
export const STARTER = "VMEXIT_STARTER";

/**
 * Has the kernel end this process with its starter, if `VMEXIT_STARTER` names one.
 *
 * @returns false when the starter has already ended
 */
export function followStarter(): boolean {
  const starter = Deno.env.get(STARTER);
  return starter === undefined || dieWithParent(Number(starter));
}
