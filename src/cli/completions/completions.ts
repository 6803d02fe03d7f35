/**
 * `vmexit completions`: scripts that teach a shell to complete command lines, made from the tables
 * that the parser uses.
 *
 * @module
 */

import { bashCompletion } from "./bash.ts";
import { fishCompletion } from "./fish.ts";
import type { SHELLS } from "../options/options.ts";
import { zshCompletion } from "./zsh.ts";

const SCRIPTS: Readonly<Record<typeof SHELLS[number], () => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};

/**
 * The script for a shell.
 *
 * @example
 * ```ts
 * import { completionScript } from "./completions.ts";
 * console.log(completionScript("fish").includes("complete -c vmexit")); // true
 * ```
 */
export function completionScript(shell: typeof SHELLS[number]): string {
  return SCRIPTS[shell]();
}
