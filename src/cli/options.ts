/**
 * The options of every command in one table each: what the parser accepts and
 * what the help shows are the same.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { BOOT_PROTOCOLS } from "../boot/plan.ts";
import { HOLE_KINDS } from "../memory/hole.ts";
import { UsageError } from "./usage_error.ts";

/** One option of a command. */
export interface OptionSpec {
  /** The long name, without dashes. */
  readonly name: string;
  /** The one-letter name, without the dash. */
  readonly short?: string;
  /** What its value is called in the help; an option without one is a flag. */
  readonly value?: string;
  /** May be given several times. */
  readonly repeat?: boolean;
  readonly help: string;
}

/** A command: its arguments and options. */
export interface CommandSpec {
  readonly name: string;
  /** The positional arguments in the help: `IMAGE`. */
  readonly operands: string;
  /** How many positional arguments it takes: at least, at most. */
  readonly operandCount: readonly [number, number];
  readonly summary: string;
  readonly options: readonly OptionSpec[];
}

const HELP: OptionSpec = { name: "help", short: "h", help: "show this help" };
const KVM: OptionSpec = { name: "kvm", value: "PATH", help: "the KVM device (default /dev/kvm)" };
const FORMAT: OptionSpec = { name: "format", value: "FORMAT", help: "text (default) or json" };

const BOOT: readonly OptionSpec[] = [
  { name: "memory", short: "m", value: "SIZE", help: "guest RAM, K/M/G suffixes (default 128M)" },
  { name: "append", short: "a", value: "STRING", help: "kernel command line" },
  {
    name: "initrd",
    short: "i",
    value: "FILE",
    repeat: true,
    help: "a file for the kernel; repeat it for several Multiboot modules",
  },
  { name: "boot", value: "PROTOCOL", help: `auto (default), ${BOOT_PROTOCOLS.join(", ")}` },
  { name: "load-address", value: "ADDR", help: "where a flat image is loaded" },
  { name: "entry", value: "ADDR", help: "where a flat image is entered" },
];

/** All commands. */
export const COMMANDS: readonly CommandSpec[] = [
  {
    name: "run",
    operands: "IMAGE",
    operandCount: [1, 1],
    summary: "boot an image",
    options: [
      ...BOOT,
      { name: "cpus", short: "c", value: "N", help: "vCPUs (default 1, and so far at most 1)" },
      {
        name: "machine",
        value: "TYPE",
        help: "auto (default), bare: HLT ends the run, pc: in-kernel irqchip and PIT",
      },
      {
        name: "trace",
        value: "SPEC",
        help: "all (default), none, or a comma list of exit reasons and classes",
      },
      { name: "quiet", short: "q", help: "show no exits and no summary: --trace none" },
      FORMAT,
      { name: "trace-file", value: "FILE", help: "write the trace there instead of to stderr" },
      { name: "timeout", value: "DURATION", help: "end the run after 500ms, 5s, 2m" },
      { name: "max-exits", value: "N", help: "end the run after N exits" },
      {
        name: "unclaimed",
        value: "POLICY",
        help: "I/O that no device claims: ignore, warn (default, once each), stop",
      },
      {
        name: "hole",
        value: "GPA+SIZE:KIND",
        repeat: true,
        help: `make a range of RAM bad: ${HOLE_KINDS.join(", ")}`,
      },
      {
        name: "fault-policy",
        value: "POLICY",
        help: "memory faults: resolve (default) tries to repair them, report does not",
      },
      {
        name: "fault-retries",
        value: "N",
        help: "how often a fault that comes back is resolved again (default 3)",
      },
      {
        name: "verbose",
        help: "dump registers, page walk and all accesses of a memory fault",
      },
      { name: "single-step", help: "exit after each instruction" },
      {
        name: "break",
        value: "ADDR",
        repeat: true,
        help: "exit before the instruction at a linear address; up to four",
      },
      KVM,
      HELP,
    ],
  },
  {
    name: "doctor",
    operands: "",
    operandCount: [0, 0],
    summary: "can this host run guests? what does its KVM offer?",
    options: [FORMAT, KVM, HELP],
  },
  {
    name: "inspect",
    operands: "IMAGE",
    operandCount: [1, 1],
    summary: "what is this image, how would it be booted?",
    options: [...BOOT, FORMAT, HELP],
  },
  {
    name: "help",
    operands: "[COMMAND]",
    operandCount: [0, 1],
    summary: "show help for a command",
    options: [HELP],
  },
];

/** A parsed command line. */
export interface ParsedOptions {
  /** The value of an option, if it was given; the last one if it was given twice. */
  value(name: string): string | undefined;
  /** All values of an option that may be given several times. */
  values(name: string): string[];
  /** Whether a flag was given. */
  flag(name: string): boolean;
  readonly operands: readonly string[];
}

/**
 * Parses a command's arguments, GNU style: `--opt value`, `--opt=value`, `-o value`
 * and `-ovalue`, options and operands in any order, `--` before operands only.
 *
 * @throws {UsageError} for unknown options, missing values, wrong operands
 */
export function parseOptions(command: CommandSpec, args: readonly string[]): ParsedOptions {
  const valued = command.options.filter((option) => option.value !== undefined);
  const flags = command.options.filter((option) => option.value === undefined);
  const parsed = parseArgs(splitShortValues(command, args), {
    string: [...valued.map((option) => option.name), "_"],
    boolean: flags.map((option) => option.name),
    collect: valued.map((option) => option.name),
    alias: Object.fromEntries(
      command.options.flatMap(({ name, short }) => short === undefined ? [] : [[name, short]]),
    ),
    unknown(arg, key) {
      if (key !== undefined) throw unknownOption(command, arg);
      return true;
    },
  });
  const result = parsed as unknown as Record<string, unknown>;
  const values = (name: string): string[] => (result[name] ?? []) as string[];
  const operands = parsed._.map(String);
  for (const { name, repeat } of valued) {
    const given = values(name);
    if (given.includes("") && name !== "append") {
      throw new UsageError(`--${name} needs a value`);
    }
    if (given.length > 1 && !repeat) throw new UsageError(`--${name} is given twice`);
  }
  const [least, most] = command.operandCount;
  if (result.help !== true && (operands.length < least || operands.length > most)) {
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
  };
}

/** `-m64M` becomes `-m 64M`: the parser takes letters apart, which values do not survive. */
function splitShortValues(command: CommandSpec, args: readonly string[]): string[] {
  const out: string[] = [];
  for (const [i, arg] of args.entries()) {
    if (arg === "--") return [...out, ...args.slice(i)];
    const option = command.options.find(({ short, value }) =>
      value !== undefined && short !== undefined && arg.startsWith(`-${short}`) && arg.length > 2
    );
    if (option === undefined) out.push(arg);
    else out.push(`--${option.name}=${arg.slice(2).replace(/^=/, "")}`);
  }
  return out;
}

function unknownOption(command: CommandSpec, arg: string): UsageError {
  const given = arg.replace(/=.*/s, "");
  const choices = command.options.flatMap(({ name, short }) =>
    short === undefined ? [`--${name}`] : [`--${name}`, `-${short}`]
  );
  return new UsageError(`unknown option ${given}`, { given, choices });
}
