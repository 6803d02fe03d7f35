/**
 * The options of `vmexit run`, as test files use them: their names, and what is wrong with a value
 * before any test runs.
 *
 * @module
 */

import { cutHoles } from "../../memory/hole.ts";
import { ramLayout } from "../../memory/ram.ts";
import type { OptionProblem, RunDialect } from "../../testing/test_case.ts";
import { parseBootValues } from "../image_file.ts";
import { RUN } from "./options.ts";
import { parseOptions } from "./parse.ts";
import { parseRunOptions } from "./run_options.ts";
import { UsageError } from "./usage_error.ts";
import { parseDuration } from "./values.ts";

/** What test files may use. */
export const RUN_DIALECT: RunDialect = {
  options: RUN.options,
  duration: (text) => parseDuration("timeout", text),
  problem: optionProblem,
};

/**
 * Reads options as `run` does, without their files: those are relative to the test file.
 *
 * @example
 * ```ts
 * import { RUN_DIALECT } from "./test_dialect.ts";
 * console.log(await RUN_DIALECT.problem(["--cpus=300"]));
 * // { option: "cpus", message: "a guest has at most 255 vCPUs, not 300" }
 * ```
 */
async function optionProblem(args: readonly string[]): Promise<OptionProblem | undefined> {
  try {
    const parsed = parseOptions(RUN, [...args.map(withoutFile), "--", "image"]);
    const { memoryBytes } = parseBootValues(parsed);
    const { machine } = parseRunOptions(parsed);
    cutHoles(ramLayout(memoryBytes), machine.holes ?? []);
    return undefined;
  } catch (error) {
    if (error instanceof Error && error.name === "HoleError") {
      return { option: "hole", message: error.message };
    }
    if (!(error instanceof UsageError)) throw error;
    const text = await error.withSuggestion();
    const [, option, message] = /^--([\w-]+):? (.*)$/s.exec(text) ?? [];
    return { option, message: message ?? text };
  }
}

function withoutFile(arg: string): string {
  return arg
    .replace(/^(--hole=.*:lazy):.+$/s, "$1")
    .replace(/^(--fw-cfg=[^,]+),file=.+$/s, "$1,string=");
}
