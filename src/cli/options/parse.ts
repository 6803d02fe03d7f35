/**
 * Parses a command's arguments by its table. The types of what comes out follow the table too: a
 * name that is not there, or a flag read as a value, does not compile.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import type { CommandSpec, OptionOf, OptionSpec } from "./options.ts";
import { qemuHint } from "./qemu_options.ts";
import { UsageError } from "./usage_error.ts";

/** Options that take a value. */
type Valued<Option extends OptionSpec> = Extract<Option, { readonly value: string }>;
/** Options that may be given several times. */
type Repeated<Option extends OptionSpec> = Extract<Valued<Option>, { readonly repeat: true }>;

/**
 * A parsed command line.
 *
 * @example
 * ```ts
 * import { RUN } from "./options.ts";
 * import { parseOptions } from "./parse.ts";
 * const options = parseOptions(RUN, ["-q", "--memory=16M", "-i", "a", "-i", "b", "guest.elf"]);
 * console.log(options.value("memory"), options.values("initrd")); // 16M [ "a", "b" ]
 * console.log(options.flag("quiet"), options.operands); // true [ "guest.elf" ]
 * ```
 */
export type ParsedOptions<Option extends OptionSpec> = Parsed<
  Exclude<Valued<Option>, Repeated<Option>>["name"],
  Repeated<Option>["name"],
  Exclude<Option, Valued<Option>>["name"]
>;

/** A parsed command line, by the names of its options: what reads few of them takes any with more. */
export interface Parsed<in ValueName, in RepeatedName, in FlagName> {
  /** The value of an option, if it was given. */
  readonly value: (name: ValueName) => string | undefined;
  /** All values of an option that may be given several times. */
  readonly values: (name: RepeatedName) => readonly string[];
  /** Whether a flag was given. */
  readonly flag: (name: FlagName) => boolean;
  readonly operands: readonly string[];
  /** `--help` was given: the operands were not checked. */
  readonly wantsHelp: boolean;
}

/**
 * Parses a command's arguments, GNU style: `--opt value`, `--opt=value`, `-o value`,
 * `-ovalue` and `-abo value`, options and operands in any order, `--` before operands
 * only.
 *
 * @throws {UsageError} for unknown options, missing values, wrong operands
 */
export function parseOptions<Command extends CommandSpec>(
  command: Command,
  args: readonly string[],
): ParsedOptions<OptionOf<Command>> {
  const valued = command.options.filter((option) => option.value !== undefined);
  const flags = command.options.filter((option) => option.value === undefined);
  const parsed = parseArgs(joinValues(command, args), {
    string: [...valued.map((option) => option.name), "_"],
    boolean: flags.map((option) => option.name),
    collect: valued.map((option) => option.name),
  });
  const result = parsed as unknown as Record<string, unknown>;
  const values = (name: string): string[] => (result[name] ?? []) as string[];
  const operands = parsed._.map(String);
  for (const { name, repeat } of valued) {
    if (values(name).length > 1 && !repeat) throw new UsageError(`--${name} is given twice`);
  }
  const [least, most] = command.operandCount;
  const wantsHelp = result.help === true;
  if (!wantsHelp && (operands.length < least || operands.length > most)) {
    throw new UsageError(
      operands.length < least
        ? `${command.name} needs ${command.operands}`
        : `${command.name} takes ${command.operands || "no arguments"}, ` +
          `and "${operands[most]}" is one too many`,
    );
  }
  return {
    value: (name) => values(name).at(-1),
    values,
    flag: (name) => result[name] === true,
    operands,
    wantsHelp,
  };
}

/**
 * Gives each option its value as getopt_long(3) does, and moves operands to the
 * end: what follows an option with a value is its value, whatever it looks
 * like; in a group of letters the first one with a value takes the rest.
 * `-qm64M` becomes `--quiet --memory=64M`.
 */
function joinValues(command: CommandSpec, args: readonly string[]): string[] {
  const options: string[] = [];
  const left = [...args];
  const operands: string[] = [];
  const put = ({ name, value }: OptionSpec, attached: string | undefined): void => {
    if (value === undefined && attached !== undefined) {
      throw new UsageError(`--${name} takes no value, and "${attached}" is one`);
    }
    const text = value === undefined ? undefined : attached ?? left.shift();
    if (value !== undefined && (text === undefined || (text === "" && name !== "append"))) {
      throw new UsageError(`--${name} needs a value`);
    }
    // Without "=" the value is empty: only options follow it.
    options.push(text ? `--${name}=${text}` : `--${name}`);
  };
  for (let arg = left.shift(); arg !== undefined; arg = left.shift()) {
    if (arg === "--") {
      operands.push(...left.splice(0));
    } else if (arg.startsWith("--")) {
      const [, name, attached] = /^--([^=]*)(?:=(.*))?$/s.exec(arg)!;
      const option = command.options.find((known) => known.name === name);
      if (!option) throw unknownOption(command, `--${name}`);
      put(option, attached);
    } else if (arg.startsWith("-") && arg !== "-") {
      const hint = arg.length > 2 ? qemuHint(arg) : undefined;
      if (hint) throw new UsageError(hint);
      for (let i = 1; i < arg.length; i++) {
        const option = command.options.find(({ short }) => short === arg[i]);
        if (!option) throw unknownOption(command, `-${arg[i]}`);
        const rest = arg.slice(i + 1);
        const takesRest = rest.startsWith("=") || (option.value !== undefined && rest !== "");
        put(option, takesRest ? rest.replace(/^=/, "") : undefined);
        if (takesRest) break;
      }
    } else {
      operands.push(arg);
    }
  }
  return [...options, "--", ...operands];
}

function unknownOption(command: CommandSpec, given: string): UsageError {
  const hint = qemuHint(given);
  if (hint) return new UsageError(hint);
  const choices = command.options.flatMap(({ name, short }) =>
    short === undefined ? [`--${name}`] : [`--${name}`, `-${short}`]
  );
  return new UsageError(`unknown option ${given}`, { given, choices });
}
