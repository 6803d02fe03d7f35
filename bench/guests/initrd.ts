/**
 * An initial RAM disk for Linux: busybox, and a shell script that shows that it
 * runs and powers the machine off.
 *
 * @module
 */

import { output } from "../process.ts";

/** What the script prints; the shell has to compute it. */
export const SHELL_TEXT = "a shell runs: 42";

const INIT = `#!/bin/busybox sh
/bin/busybox echo "a shell runs: $((6 * 7))"
/bin/busybox poweroff -f
`;

/**
 * Builds it, with busybox's own cpio.
 *
 * @param busybox a statically linked busybox
 * @param folder for the tree and the archive
 * @returns the archive's path
 */
export async function makeInitrd(busybox: string, folder: string): Promise<string> {
  const tree = `${folder}/initrd`;
  await Deno.mkdir(`${tree}/bin`, { recursive: true });
  await Deno.copyFile(busybox, `${tree}/bin/busybox`);
  await Deno.writeTextFile(`${tree}/init`, INIT, { mode: 0o755 });
  const archive = `${folder}/initrd.cpio`;
  const script = 'find . | "$1" cpio -o -H newc >"$2"';
  await output("sh", ["-c", script, "sh", busybox, archive], tree);
  return archive;
}
