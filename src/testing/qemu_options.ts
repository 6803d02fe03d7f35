/**
 * QEMU's options, of which the x86 KVM unit tests ask for some, as those of
 * `vmexit run`.
 *
 * @module
 */

import { featureByName } from "../x86/cpu_features.ts";

/** What became of QEMU's options. */
export interface Translation {
  /** What the guest is told on its command line. */
  readonly args: readonly string[];
  /** Options of `vmexit run`. */
  readonly options: readonly string[];
  /** What has no equivalent. */
  readonly untranslated: readonly string[];
}

/** Options without a value: vmexit does so anyway. */
const SAME_FLAGS = ["enable-kvm", "no-reboot", "nodefaults", "nographic"];
/** Options with a value that vmexit does anyway. */
const SAME_VALUES: readonly (readonly [string, RegExp])[] = [
  ["accel", /^kvm(,|$)/],
  ["machine", /^accel=kvm$/],
  ["display", /^none$/],
  ["vnc", /^none$/],
  ["serial", /^stdio$/],
  ["monitor", /^none$/],
  ["device", /^(pc-testdev|isa-debug-exit(,iobase=0xf4)?(,iosize=0x4)?)$/],
];
/** Options without a value; all others that are not followed by an option have one. */
const FLAGS = [...SAME_FLAGS, "no-acpi", "no-hpet", "S", "s"];

/** Processors in whose place that of vmexit will do, which has all that KVM offers. */
const MODELS = ["host", "max", "qemu64", "kvm64"];
/** What QEMU calls features by other names than Linux, once `-` and `.` are `_`. */
const FEATURE_NAMES: Readonly<Record<string, string>> = {
  ibpb: "amd_ibpb",
  kvmclock: "kvm_clocksource",
  kvm_asyncpf: "kvm_async_pf",
  ssbd: "spec_ctrl_ssbd",
  stibp: "intel_stibp",
};

/**
 * Translates options.
 *
 * @param words QEMU's arguments
 * @param known the long names of the options that `vmexit run` has
 *
 * @example
 * ```ts
 * import { translateQemuOptions } from "./qemu_options.ts";
 * const { options, untranslated } = translateQemuOptions(["-m", "2048", "-cpu", "max,-nx,pmu=on"], []);
 * console.log(options, untranslated); // ["--memory=2048M", "--cpu=-nx"] ["-cpu pmu=on"]
 * ```
 */
export function translateQemuOptions(
  words: readonly string[],
  known: readonly string[],
): Translation {
  const args: string[] = [];
  const options: string[] = [];
  const untranslated: string[] = [];
  // A table of options that lacks one has no use for it.
  const isKnown = (option: string): boolean => known.length === 0 || known.includes(option);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const name = word.replace(/^--?/, "");
    const next = words[i + 1];
    const hasValue = word.startsWith("-") && !FLAGS.includes(name) && next !== undefined &&
      (!next.startsWith("-") || name === "append");
    const value = hasValue ? words[++i]! : "";
    if (!word.startsWith("-")) {
      untranslated.push(word);
    } else if (name === "append") {
      args.push(value);
    } else if (SAME_FLAGS.includes(name) || isSame(name, value)) {
      continue;
    } else if (name === "cpu") {
      const { off, rest } = translateCpu(value);
      const own = off.length > 0 ? [`--cpu=${off.map((feature) => `-${feature}`).join()}`] : [];
      (isKnown("cpu") ? options : untranslated).push(...own);
      untranslated.push(...rest.map((part) => `${word} ${part}`));
    } else {
      const own = translate(name, value);
      if (own && isKnown(/^--([\w-]+)/.exec(own)![1]!)) options.push(own);
      else untranslated.push(hasValue ? `${word} ${value}` : word);
    }
  }
  return { args, options, untranslated };
}

function isSame(name: string, value: string): boolean {
  return SAME_VALUES.some(([option, pattern]) => option === name && pattern.test(value));
}

function translate(name: string, value: string): string | undefined {
  switch (name) {
    case "m":
      // Megabytes without a unit.
      if (/^\d+$/.test(value)) return `--memory=${value}M`;
      return /^\d+[kmgt]$/i.test(value) ? `--memory=${value}` : undefined;
    case "smp":
      return /^\d+$/.test(value) ? `--cpus=${value}` : undefined;
    case "initrd":
      return value === "" ? undefined : `--initrd=${value}`;
    default:
      return undefined;
  }
}

/**
 * What `-cpu MODEL,+on,-off,feature=on,property=value` takes away from a processor with all
 * that KVM offers. What it adds is there or cannot be had: QEMU goes on without it, too.
 *
 * @returns `rest`: the parts that have no equivalent
 */
function translateCpu(value: string): { readonly off: string[]; readonly rest: string[] } {
  const [model, ...parts] = value.split(",");
  const off = new Set<string>();
  const rest = MODELS.includes(model!) ? [] : [model!];
  // QEMU sets properties first, then adds features, then takes some away.
  const rank = (part: string): number => ["+", "-"].indexOf(part.charAt(0));
  for (const part of parts.toSorted((a, b) => rank(a) - rank(b))) {
    const [, sign, name, state] =
      /^([+-]?)([\w.-]+?)(?:=(on|off|yes|no|true|false))?$/.exec(part) ??
        [];
    const feature = name && featureOf(name);
    const isOn = sign ? sign === "+" : state && /^(on|yes|true)$/.test(state);
    if (!feature || isOn === undefined || (sign && state)) rest.push(part);
    else if (isOn) off.delete(feature);
    else off.add(feature);
  }
  return { off: [...off], rest };
}

/** The name that Linux has for a feature of QEMU's; `undefined` for what is none. */
function featureOf(name: string): string | undefined {
  const plain = name.replaceAll(/[-.]/g, "_");
  return featureByName(Object.hasOwn(FEATURE_NAMES, plain) ? FEATURE_NAMES[plain]! : plain);
}
