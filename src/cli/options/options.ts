/**
 * The commands and their options: the tables from which the parser, the types of its results, the
 * help, the completions and the manual page are made.
 *
 * @module
 */

import { BOOT_PROTOCOLS } from "../../boot/plan.ts";
import { HOLE_KINDS } from "../../memory/hole.ts";
import { traceNames } from "../../trace/spec.ts";
import { CPU_FEATURES } from "../../x86/cpu_features.ts";

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
/** Values of `--format` of `test`. */
export const REPORT_FORMATS = ["human", "tap", "junit", "json"] as const;
/** Values of `--to`. */
export const PAGE_FORMATS = ["html", "perfetto"] as const;
/** Shells that there are completions for. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

/** What a value may be, as far as a shell can complete it. */
export type Values =
  /** A file. */
  | { readonly kind: "file" }
  /** One of these words; a word that ends with a colon is followed by a file. */
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

/** The words of `--cpu`. */
function cpuWords(): string[] {
  return ["none", ...CPU_FEATURES.flatMap((name) => [`+${name}`, `-${name}`])];
}

/** A serial port's option. */
function serialPort<const Name extends string>(name: Name, note = "") {
  return {
    name,
    value: "BACKEND",
    values: oneOf(["stdio", "file:", "pty", "unix:", "null"]),
    help: `${name.toUpperCase()}: stdio${note}, file:PATH, pty, unix:PATH, null`,
  } as const;
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

const HELP = { name: "help", short: "h", help: "show this help" } as const;
const KVM = {
  name: "kvm",
  value: "PATH",
  values: FILE,
  help: "the KVM device (default /dev/kvm)",
} as const;
const FORMAT = {
  name: "format",
  value: "FORMAT",
  values: oneOf(FORMATS),
  help: "text (default) or json",
} as const;

/** What an image is and how it is booted: options of `run` and of `inspect`. */
const BOOT = [
  { name: "memory", short: "m", value: "SIZE", help: "guest RAM, K/M/G suffixes (default 128M)" },
  { name: "append", short: "a", value: "STRING", help: "kernel command line" },
  {
    name: "initrd",
    short: "i",
    value: "FILE[,ARGS]",
    values: FILE,
    repeat: true,
    help: "a file for the kernel, ARGS for a module; repeat it for several modules or archives",
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
] as const satisfies readonly OptionSpec[];

/** `vmexit run`. */
export const RUN = {
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
      values: { kind: "list", words: cpuWords },
      help: "a comma list of +NAME and -NAME: features of the processor; none: no optional ones",
    },
    {
      name: "machine",
      value: "TYPE",
      values: oneOf(MACHINE_CHOICES),
      help: "auto (default), bare: HLT ends the run, pc: interrupt controllers, timers, ACPI",
    },
    serialPort("com1", " (default)"),
    serialPort("com2"),
    serialPort("com3"),
    serialPort("com4"),
    {
      name: "fw-cfg",
      value: "FILE",
      repeat: true,
      help: "a file in the PC's fw_cfg: NAME,file=PATH or NAME,string=TEXT",
    },
    {
      name: "debug-exit",
      value: "PORT",
      help: "the port that ends the run with code 2V + 1 (default 0xf4; QEMU's default is 0x501)",
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
      help: "write the trace there instead of to stderr; - is stdout",
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
      help: "memory faults: resolve (default) tries to repair them; report ends the run",
    },
    {
      name: "fault-retries",
      value: "N",
      help: "how often a fault that recurs is resolved again (default 3)",
    },
    {
      name: "verbose",
      help: "for a memory fault, dump registers, page walk and all accesses",
    },
    { name: "msr-exits", help: "exit where an MSR access would raise #GP" },
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
} as const satisfies CommandSpec;

/** `vmexit test`. */
export const TEST = {
  name: "test",
  operands: "PATH...",
  operandCount: [1, Infinity],
  operandValues: FILE,
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
    { name: "verbose", short: "v", help: "name passed tests, too" },
    {
      name: "format",
      value: "FORMAT",
      values: oneOf(REPORT_FORMATS),
      help: "human (default), tap, junit or json",
    },
    { name: "output", short: "o", value: "FILE", values: FILE, help: "write the report there" },
    {
      name: "artefacts",
      value: "DIR",
      values: FILE,
      help: "keep the output and traces of failed tests there (default: a temporary folder)",
    },
    HELP,
  ],
} as const satisfies CommandSpec;

/** `vmexit report`. */
export const REPORT = {
  name: "report",
  operands: "TRACE",
  operandCount: [1, 1],
  operandValues: FILE,
  summary: "turn a JSON trace into a page or a Perfetto file",
  options: [
    {
      name: "to",
      value: "FORMAT",
      values: oneOf(PAGE_FORMATS),
      help: "html (default): one page; perfetto: trace events",
    },
    {
      name: "output",
      short: "o",
      value: "FILE",
      values: FILE,
      help: "write there instead of to stdout",
    },
    HELP,
  ],
} as const satisfies CommandSpec;

/** `vmexit doctor`. */
export const DOCTOR = {
  name: "doctor",
  operands: "",
  operandCount: [0, 0],
  summary: "can this host run guests? what does its KVM offer?",
  options: [FORMAT, KVM, HELP],
} as const satisfies CommandSpec;

/** `vmexit inspect`. */
export const INSPECT = {
  name: "inspect",
  operands: "IMAGE",
  operandCount: [1, 1],
  operandValues: { kind: "image" },
  summary: "what is this image, how would it be booted?",
  options: [...BOOT, FORMAT, HELP],
} as const satisfies CommandSpec;

/** `vmexit completions`. */
export const COMPLETIONS = {
  name: "completions",
  operands: "SHELL",
  operandCount: [1, 1],
  operandValues: oneOf(SHELLS),
  summary: `print completions for a shell: ${SHELLS.join(", ")}`,
  options: [HELP],
} as const satisfies CommandSpec;

/** `vmexit help`. */
export const HELP_COMMAND = {
  name: "help",
  operands: "[COMMAND]",
  operandCount: [0, 1],
  operandValues: { kind: "word", words: () => COMMANDS.map(({ name }) => name) },
  summary: "show help for a command",
  options: [HELP],
} as const satisfies CommandSpec;

/** All commands, in the order of the help. */
export const COMMANDS: readonly CommandSpec[] = [
  RUN,
  TEST,
  REPORT,
  DOCTOR,
  INSPECT,
  COMPLETIONS,
  HELP_COMMAND,
];

/** Any option of a command. */
export type OptionOf<Command extends CommandSpec> = Command["options"][number];
/** An option of `run`. */
export type RunOption = OptionOf<typeof RUN>;
/** An option that `run` and `inspect` share. */
export type BootOption = typeof BOOT[number];
