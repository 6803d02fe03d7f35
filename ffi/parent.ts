/**
 * Child processes that die with their parent, so that no guest outlives a test run.
 *
 * @module
 */

import { check, libc } from "./libc.ts";

/** prctl(2): the signal that the calling process gets when its parent ends. */
const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9n;

/**
 * Has the kernel kill this process when its parent ends, in whatever way.
 *
 * @param parent the id that the parent must have
 * @returns whether it is still the parent; one that ended before the call sends no signal
 * @throws {SystemError}
 *
 * @example
 * ```ts
 * import { dieWithParent } from "./parent.ts";
 * console.log(dieWithParent(Deno.ppid)); // true
 * ```
 */
export function dieWithParent(parent: number): boolean {
  check("prctl(PR_SET_PDEATHSIG)", libc.prctl(PR_SET_PDEATHSIG, SIGKILL));
  return libc.getppid() === parent;
}
