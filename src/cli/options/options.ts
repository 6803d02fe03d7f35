/**
 * The options of every command in one table each: what the parser accepts and
 * what the help shows are the same.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { BOOT_PROTOCOLS } from "../../boot/plan.ts";
import { HOLE_KINDS } from "../../memory/hole.ts";
import { traceNames } from "../../trace/spec.ts";
import { UsageError } from "./usage_error.ts";

/** Values of `--format`. */
export const FORMATS = ["text", "json"] as const;
/** Values of `--boot`. */
export const BOOT_CHOICES = ["auto", ...BOOT_PROTOCOLS] as const;
/** Values of `--machine`. */
export const MACHINE_CHOICES = ["auto", "bare", "pc"] as const;
/** Values of `--unclaimed`. */
export const UNCLAIMED_POLICIES = ["ignore", "warn", "stop"] as const;
/** Values of `--fault-policy`. */
export const FAULT_POLICIES = ["resolve", "report"] as const;
/** Shells that there are completions for. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

/** What a value may be, as far as a shell can complete it. */
export type Values =
  /** A file. */
  | { readonly kind: "file" }
  /** One of these words; behind a word that ends with a colon comes a file. */
  | { readonly kind: "word"; words(): readonly string[] }
  /** Some of these words, with commas between them. */
  | { readonly kind: "list"; words(): readonly string[] }
  /** Anything, a colon, and one of these words. */
  | { readonly kind: "suffix"; words(): readonly string[] }
  /** An image: a file or one of the bundled images. */
  | { readonly kind: "image" };

const FILE: Values = { kind: "file" };

function oneOf(words: readonly string[]): Values {
  return { kind: "word", words: () => words };
}

/** One option of a command. */
export interface OptionSpec {
  /** The long name, without dashes. */
  readonly name: string;
  /** The one-letter name, without the dash. */
  readonly short?: string;
  /** What its value is called in the help; an option without one is a flag. */
  readonly value?: string;
  /** What the value may be, where a shell can complete it. */
  readonly values?: Values;
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
  /** What they may be, where a shell can complete them. */
  readonly operandValues?: Values;
  readonly summary: string;
  readonly options: readonly OptionSpec[];
}

const HELP: OptionSpec = { name: "help", short: "h", help: "show this help" };
const KVM: OptionSpec = {
  name: "kvm",
  value: "PATH",
  values: FILE,
  help: "the KVM device (default /dev/kvm)",
};
const FORMAT: OptionSpec = {
  name: "format",
  value: "FORMAT",
  values: oneOf(FORMATS),
  help: "text (default) or json",
};

const BOOT: readonly OptionSpec[] = [
  { name: "memory", short: "m", value: "SIZE", help: "guest RAM, K/M/G suffixes (default 128M)" },
  { name: "append", short: "a", value: "STRING", help: "kernel command line" },
  {
    name: "initrd",
    short: "i",
    value: "FILE",
    values: FILE,
    repeat: true,
    help: "a file for the kernel; repeat it for several modules or archives",
  },
  {
    name: "boot",
    value: "PROTOCOL",
    values: oneOf(BOOT_CHOICES),
    help: `auto (default), ${BOOT_PROTOCOLS.join(", ")}`,
  },
  { name: "decompress", help: "unpack a bzImage on the host, not in the guest" },
  { name: "load-address", value: "ADDR", help: "where a flat image is loaded" },
  { name: "entry", value: "ADDR", help: "where a flat image is entered" },
];

/** All commands. */
export const COMMANDS: readonly CommandSpec[] = [
  {
    name: "run",
    operands: "IMAGE",
    operandCount: [1, 1],
    operandValues: { kind: "image" },
    summary: "boot an image",
    options: [
      ...BOOT,
      { name: "cpus", short: "c", value: "N", help: "vCPUs (default 1)" },
      {
        name: "cpu",
        value: "FEATURES",
        help: "a comma list of +NAME and -NAME: features of the processor; none: no optional ones",
      },
      {
        name: "machine",
        value: "TYPE",
        values: oneOf(MACHINE_CHOICES),
        help: "auto (default), bare: HLT ends the run, pc: interrupt controllers, timers, ACPI",
      },
      ...["com1", "com2", "com3", "com4"].map((name) => ({
        name,
        value: "BACKEND",
        values: oneOf(["stdio", "file:", "pty", "unix:", "null"]),
        help: `${name.toUpperCase()}: stdio${
          name === "com1" ? " (default)" : ""
        }, file:PATH, pty, unix:PATH, null`,
      })),
      {
        name: "fw-cfg",
        value: "FILE",
        repeat: true,
        help: "a file in the PC's fw_cfg: NAME,file=PATH or NAME,string=TEXT",
      },
      {
        name: "trace",
        value: "SPEC",
        values: { kind: "list", words: traceNames },
        help: "all (default), none, or a comma list of exit reasons and classes",
      },
      { name: "quiet", short: "q", help: "show no exits and no summary: --trace none" },
      FORMAT,
      {
        name: "trace-file",
        value: "FILE",
        values: FILE,
        help: "write the trace there instead of to stderr",
      },
      { name: "timeout", value: "DURATION", help: "end the run after 500ms, 5s, 2m" },
      { name: "max-exits", value: "N", help: "end the run after N exits" },
      {
        name: "unclaimed",
        value: "POLICY",
        values: oneOf(UNCLAIMED_POLICIES),
        help: "I/O that no device claims: ignore, warn (default, once each), stop",
      },
      {
        name: "hole",
        value: "GPA+SIZE:KIND",
        values: { kind: "suffix", words: () => HOLE_KINDS },
        repeat: true,
        help: `make a range of RAM bad: ${HOLE_KINDS.join(", ")}`,
      },
      {
        name: "fault-policy",
        value: "POLICY",
        values: oneOf(FAULT_POLICIES),
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
      { name: "msr-exits", help: "exit where an access to an MSR would be a #GP" },
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
    name: "test",
    operands: "PATH...",
    operandCount: [1, Infinity],
    summary: "run smoke tests",
    options: [
      {
        name: "jobs",
        short: "j",
        value: "N",
        help: "tests at a time (default: one for each processor)",
      },
      { name: "filter", value: "TEXT", help: "only tests with this in their names" },
      { name: "tag", value: "TAG", repeat: true, help: "only tests with one of these tags" },
      { name: "fail-fast", help: "end with the first failure" },
      { name: "shard", value: "I/N", help: "only the Ith of N shares of the tests" },
      { name: "repeat", value: "N", help: "run each test N times, and count failures" },
      { name: "update", help: "write golden files instead of comparing with them" },
      { name: "verbose", short: "v", help: "name the tests that passed, too" },
      { name: "format", value: "FORMAT", help: "human (default), tap, junit or json" },
      { name: "output", short: "o", value: "FILE", help: "write the report there" },
      {
        name: "artefacts",
        value: "DIR",
        help: "what is left of failed tests goes there (default: a temporary folder)",
      },
      HELP,
    ],
  },
  {
    name: "report",
    operands: "TRACE",
    operandCount: [1, 1],
    summary: "make a page to look at of a JSON trace",
    options: [
      { name: "to", value: "FORMAT", help: "html (default): one page; perfetto: trace events" },
      { name: "output", short: "o", value: "FILE", help: "write there instead of to stdout" },
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
    operandValues: { kind: "image" },
    summary: "what is this image, how would it be booted?",
    options: [...BOOT, FORMAT, HELP],
  },
  {
    name: "completions",
    operands: "SHELL",
    operandCount: [1, 1],
    operandValues: oneOf(SHELLS),
    summary: `print completions for a shell: ${SHELLS.join(", ")}`,
    options: [HELP],
  },
  {
    name: "help",
    operands: "[COMMAND]",
    operandCount: [0, 1],
    operandValues: { kind: "word", words: () => COMMANDS.map(({ name }) => name) },
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
 * Parses a command's arguments, GNU style: `--opt value`, `--opt=value`, `-o value`,
 * `-ovalue` and `-abo value`, options and operands in any order, `--` before operands
 * only.
 *
 * @throws {UsageError} for unknown options, missing values, wrong operands
 */
export function parseOptions(command: CommandSpec, args: readonly string[]): ParsedOptions {
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

/**
 * Gives each option its value as getopt_long(3) does, and moves operands to the
 * end: what follows an option that takes a value is the value, whatever it looks
 * like; in a group of letters the first that takes a value has the rest for it.
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
    // Without "=" the value is empty: only options come behind it.
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
  const choices = command.options.flatMap(({ name, short }) =>
    short === undefined ? [`--${name}`] : [`--${name}`, `-${short}`]
  );
  return new UsageError(`unknown option ${given}`, { given, choices });
}
