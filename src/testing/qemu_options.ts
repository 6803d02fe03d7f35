/**
 * QEMU's options, of which the x86 KVM unit tests ask for some, as those of
 * `vmexit run`.
 *
 * @module
 */

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
  ["cpu", /^(host|max)$/],
  ["machine", /^accel=kvm$/],
  ["display", /^none$/],
  ["vnc", /^none$/],
  ["serial", /^stdio$/],
  ["monitor", /^none$/],
  ["device", /^(pc-testdev|isa-debug-exit(,iobase=0xf4)?(,iosize=0x4)?)$/],
];
/** Options without a value; all others that are not followed by an option have one. */
const FLAGS = [...SAME_FLAGS, "no-acpi", "no-hpet", "S", "s"];

/**
 * Translates options.
 *
 * @param words QEMU's arguments
 * @param known the long names of the options that `vmexit run` has
 *
 * @example
 * ```ts
 * import { translateQemuOptions } from "./qemu_options.ts";
 * const { options, untranslated } = translateQemuOptions(["-m", "2048", "-cpu", "qemu64"], []);
 * console.log(options, untranslated); // ["--memory=2048M"] ["-cpu qemu64"]
 * ```
 */
export function translateQemuOptions(
  words: readonly string[],
  known: readonly string[],
): Translation {
  const args: string[] = [];
  const options: string[] = [];
  const untranslated: string[] = [];
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
    } else {
      const own = translate(name, value);
      const option = own && /^--([\w-]+)/.exec(own)![1]!;
      // A table of options that lacks one has no use for it.
      if (option && (known.length === 0 || known.includes(option))) options.push(own);
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
