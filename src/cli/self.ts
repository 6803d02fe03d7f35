/**
 * The command that runs this program again, from sources or from an executable.
 *
 * @module
 */

import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { HOST_FILES } from "../host/facts.ts";
import type { SelfCommand } from "../testing/guest_process.ts";
import { STARTER } from "./starter.ts";

/** Flags of Deno whose value is a path. */
const PATH_FLAG = /^(--(?:config|import-map|lock)=)(.*)$/;

/**
 * The command that started this process, without its arguments, to be run from any
 * folder. It may not start processes itself.
 *
 * @example
 * ```ts
 * import { selfCommand } from "./self.ts";
 * const { program, args, env } = selfCommand();
 * await new Deno.Command(program, { args: [...args, "help"], env: { ...env } }).output();
 * ```
 */
export function selfCommand(): SelfCommand {
  // Only the kernel still knows Deno's own flags and the main module.
  const words = HOST_FILES.read("/proc/self/cmdline").split("\0").slice(1, -1);
  const own = words.slice(0, words.length - Deno.args.length);
  const flags = own.slice(0, -1)
    .map((word) => word.replace(/^-P=test$/, "-P=default"))
    .map((word) => word.replace(PATH_FLAG, (_, flag, path) => flag + resolve(path)));
  return {
    program: Deno.execPath(),
    // A compiled program is its own main module.
    args: own.length === 0 ? [] : [...flags, mainModule()],
    env: { [STARTER]: String(Deno.pid) },
  };
}

/** The environment variable by which a launcher names itself. */
export const PROGRAM = "VMEXIT_PROGRAM";

/** The program as a shell calls it: its launcher's path, or its own where it was compiled. */
export function programPath(): string {
  return resolve(Deno.env.get(PROGRAM) ?? Deno.execPath());
}

function mainModule(): string {
  return fileURLToPath(Deno.mainModule);
}
