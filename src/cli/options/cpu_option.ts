/**
 * `--cpu FEATURES`: the processor's features.
 *
 * @module
 */

import {
  CPU_FEATURES,
  type CpuFeatures,
  FEATURE_ALIASES,
  featureByName,
} from "../../x86/cpu_features.ts";
import { UsageError } from "./usage_error.ts";

/** The word for a processor without optional features. */
const NONE = "none";

/**
 * Parses the option: `+name` and `-name` in a list with commas, a bare name is `+name`,
 * and `none` removes all optional features. The last of several words for one feature counts.
 *
 * @throws {UsageError} for an unknown name
 *
 * @example
 * ```ts
 * import { parseCpu } from "./cpu_option.ts";
 * console.log(parseCpu("none,+nx,-pge")); // { baseline: true, on: [ "nx" ], off: [ "pge" ] }
 * ```
 */
export function parseCpu(text: string): CpuFeatures {
  const changes = new Map<string, boolean>();
  let baseline = false;
  for (const word of text.split(",").map((part) => part.trim())) {
    if (word === NONE) {
      baseline = true;
      changes.clear();
      continue;
    }
    const given = word.replace(/^[+-]/, "");
    const name = featureByName(given);
    if (name === undefined) {
      const sign = word.slice(0, word.length - given.length);
      const choices = [NONE, ...CPU_FEATURES, ...Object.keys(FEATURE_ALIASES)].map((known) =>
        sign + known
      );
      throw new UsageError(`--cpu: "${word}" is not a processor feature`, {
        given: word,
        choices,
      });
    }
    changes.set(name, !word.startsWith("-"));
  }
  const those = (wanted: boolean): string[] =>
    [...changes].filter(([, on]) => on === wanted).map(([name]) => name);
  return { baseline, on: those(true), off: those(false) };
}
