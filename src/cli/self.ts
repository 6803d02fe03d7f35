/**
 * How this program runs itself again.
 *
 * @module
 */

import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { dieWithParent } from "../../ffi/parent.ts";
import { HOST_FILES } from "../machine/host_facts.ts";

/** The environment variable that names the process without which this one is to end. */
const STARTER = "VMEXIT_STARTER";
/** Flags of Deno that have a path for their value. */
const PATH_FLAG = /^(--(?:config|import-map|lock)=)(.*)$/;

/** How a further process of this program is started. */
export interface SelfCommand {
  readonly program: string;
  /** What comes before the program's own arguments. */
  readonly args: readonly string[];
  /** Added to the environment: such a process ends when this one does, however that ends. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * The command that started this process, for any folder, without its own
 * arguments and without the right to start others.
 *
 * @example
 * ```ts
 * import { selfCommand } from "./self.ts";
 * const { program, args, env } = selfCommand();
 * await new Deno.Command(program, { args: [...args, "help"], env: { ...env } }).output();
 * ```
 */
export function selfCommand(): SelfCommand {
  // What Deno itself was told, and which module, only the kernel still knows.
  const words = HOST_FILES.read("/proc/self/cmdline").split("\0").slice(1, -1);
  const own = words.slice(0, words.length - Deno.args.length);
  const flags = own.slice(0, -1)
    .filter((word) => !word.startsWith("--allow-run"))
    .map((word) => word.replace(PATH_FLAG, (_, flag, path) => flag + resolve(path)));
  return {
    program: Deno.execPath(),
    // A compiled program is its own main module.
    args: own.length === 0 ? [] : [...flags, mainModule()],
    env: { [STARTER]: String(Deno.pid) },
  };
}

/** The program as a shell calls it: the launcher's path, or the program's own. */
export function programPath(): string {
  const module = mainModule();
  const root = dirname(module).replace(/\/\.setup\.d$/, "");
  const launcher = join(root, "vmexit");
  try {
    if (Deno.statSync(launcher).isFile) return launcher;
  } catch {
    // No launcher started this.
  }
  return Deno.execPath();
}

function mainModule(): string {
  return fileURLToPath(Deno.mainModule);
}

/**
 * Ties this process to the one that started it as {@linkcode selfCommand} says.
 *
 * @returns whether to go on: not when that one has ended already
 */
export function followStarter(): boolean {
  const starter = Deno.env.get(STARTER);
  return starter === undefined || dieWithParent(Number(starter));
}
