/**
 * Processes that end with the one that started them.
 *
 * @module
 */

import { check, libc } from "./libc.ts";

/** prctl(2): the signal that the calling process gets when its parent ends. */
const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9n;

/**
 * Has the kernel kill this process as soon as its parent ends, however that ends.
 *
 * @param parent the process that is to be the parent
 * @returns whether it still is: a parent that ended before can no longer be waited for
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
