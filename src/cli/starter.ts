/**
 * Processes that `vmexit test` starts end with it, however it ends, and so do those that the script
 * of a self-extracting executable waits for.
 *
 * @module
 */

import { dieWithParent } from "../../ffi/parent.ts";

/** The environment variable that names the process without which this one is to end. */
export const STARTER = "VMEXIT_STARTER";

/**
 * Ties this process to the one that `VMEXIT_STARTER` names, if it names any.
 *
 * @returns whether to go on: not when that one has ended already
 */
export function followStarter(): boolean {
  const starter = Deno.env.get(STARTER);
  return starter === undefined || dieWithParent(Number(starter));
}
