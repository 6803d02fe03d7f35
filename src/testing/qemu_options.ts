/**
 * Translates the QEMU options that the x86 KVM unit tests ask for to those of `vmexit run`.
 *
 * @module
 */

import { featureByName } from "../x86/cpu_features.ts";

/** The translation of QEMU options. */
export interface TranslatedOptions {
  /** Words for the command line of the guest. */
  readonly args: readonly string[];
  /** Options of `vmexit run`. */
  readonly options: readonly string[];
  /** Options without an equivalent. */
  readonly untranslated: readonly string[];
}

/** Flags that ask for what vmexit does anyway. */
const SAME_FLAGS = ["enable-kvm", "no-hpet", "no-reboot", "nodefaults", "nographic"];
/** Options that ask for what vmexit does anyway. */
const SAME_VALUES: readonly (readonly [string, RegExp])[] = [
  ["accel", /^kvm(,|$)/],
  ["machine", /^(?:(?:accel=kvm|hpet=off|pc|type=pc)(?:,(?!$)|$))+$/],
  ["display", /^none$/],
  ["vnc", /^none$/],
  ["serial", /^stdio$/],
  ["monitor", /^none$/],
  ["device", /^(pc-testdev|isa-debug-exit,iobase=0xf4(,iosize=\w+)?)$/],
];
/** Flags. All other options take the next word as their value unless it is an option. */
const FLAGS = [...SAME_FLAGS, "no-acpi", "S", "s"];

/** QEMU's debug-exit port, which is 0x501 by default. */
const DEBUG_EXIT = /^isa-debug-exit(?:,iobase=(0x[0-9a-f]+|\d+))?(?:,iosize=\w+)?$/;

/** CPU models that vmexit's, with all features of KVM, can stand in for. */
const MODELS = ["host", "max", "qemu64", "kvm64"];
/** Features that QEMU names differently from Linux, once `-` and `.` are `_`. */
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
): TranslatedOptions {
  const args: string[] = [];
  const options: string[] = [];
  const untranslated: string[] = [];
  // Without a table every option counts as known.
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
      // QEMU counts in megabytes without a unit.
      if (/^\d+$/.test(value)) return `--memory=${value}M`;
      return /^\d+[kmgt]$/i.test(value) ? `--memory=${value}` : undefined;
    case "smp":
      return /^\d+$/.test(value) ? `--cpus=${value}` : undefined;
    case "device": {
      const [, port = "0x501"] = DEBUG_EXIT.exec(value) ?? [];
      return DEBUG_EXIT.test(value) ? `--debug-exit=${port}` : undefined;
    }
    case "initrd":
      return value === "" ? undefined : `--initrd=${value}`;
    default:
      return undefined;
  }
}

/**
 * The features that `-cpu MODEL,+on,-off,feature=on,property=value` removes from a CPU with all
 * features of KVM. A feature that it adds is there already or unavailable; QEMU continues, too.
 *
 * @returns `rest`: the parts that have no equivalent
 */
function translateCpu(value: string): { readonly off: string[]; readonly rest: string[] } {
  const [model, ...parts] = value.split(",");
  const off = new Set<string>();
  const rest = MODELS.includes(model!) ? [] : [model!];
  // QEMU sets properties first, then adds features, then removes some.
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

/** Linux's name for a feature of QEMU; `undefined` for other words. */
function featureOf(name: string): string | undefined {
  const plain = name.replaceAll(/[-.]/g, "_");
  return featureByName(Object.hasOwn(FEATURE_NAMES, plain) ? FEATURE_NAMES[plain]! : plain);
}
