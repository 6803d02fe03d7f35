/**
 * The manual page vmexit(1), made from the tables that the parser uses.
 *
 * @module
 */

import { EXIT_CODES, GUEST_CODES } from "../src/exit_codes.ts";
import { COMMANDS, type CommandSpec, type OptionSpec } from "../src/cli/options/options.ts";
import { wrap } from "../src/cli/wrap.ts";
import type { HoleKind } from "../src/memory/hole.ts";
import { TRACE_CLASSES } from "../src/trace/spec.ts";

/** The backing of a range that `--hole` makes bad. */
const HOLES: Readonly<Record<HoleKind, string>> = {
  none: "host memory without rights (PROT_NONE)",
  unmapped: "no host memory (munmap)",
  readonly: "read-only host memory: a fault if the guest writes",
  truncated: "a file that ends before the range",
  gmem:
    "a separate slot on a guest_memfd that is gone; with :lazy, bound to a new one when touched",
  private: "memory with the private attribute",
  noslot: "no memory slot: accesses are MMIO, not faults",
  romslot: "a read-only memory slot: writes are MMIO, not faults",
  lazy: "nothing until the first touch, then zeros; with :FILE, the file's bytes",
};

/** One example of the page. */
export interface Example {
  /** What it is for. */
  readonly purpose: string;
  /** Its lines. */
  readonly commands: readonly string[];
  /** The exit code of the last one. */
  readonly exitCode: number;
}

/** The examples of the page, with guests that come with vmexit. */
export const EXAMPLES: readonly Example[] = [
  { purpose: "Every exit of a guest, decoded", commands: ["vmexit run hello"], exitCode: 0 },
  { purpose: "The guest's output alone", commands: ["vmexit run -q hello"], exitCode: 0 },
  {
    purpose: "Only the MMIO exits, for programs",
    commands: ["vmexit run --trace mmio --format json mmio"],
    exitCode: 0,
  },
  {
    purpose: "End a guest that hangs",
    commands: ["vmexit run -q --timeout 300ms spin"],
    exitCode: 124,
  },
  {
    purpose: "Make a page bad, and see who touches it",
    commands: ["vmexit run -q --hole 0x300000+0x1000:none fault/read.bin64"],
    exitCode: 20,
  },
  {
    purpose: "Boot a kernel with a command line",
    commands: ['vmexit run -q --append "console=ttyS0" linux-info'],
    exitCode: 0,
  },
  {
    purpose: "Look at a whole run in a browser",
    commands: [
      "vmexit run --format json --trace-file trace.jsonl hello",
      "vmexit report trace.jsonl -o report.html",
    ],
    exitCode: 0,
  },
  { purpose: "What an image is", commands: ["vmexit inspect hello"], exitCode: 0 },
  { purpose: "Whether guests run on this host", commands: ["vmexit doctor"], exitCode: 0 },
];

/** Where to read on, below the sources' folder. */
const DOCUMENTS: readonly [path: string, subject: string][] = [
  ["README.md", "an introduction"],
  ["docs/README.md", "an index of what follows"],
  ["docs/cli.md", "commands, options, console, permissions"],
  ["docs/boot.md", "boot protocols and entry states"],
  ["docs/pc.md", "the devices of --machine pc"],
  ["docs/memory-faults.md", "how a fault is found, holes, resolving"],
  ["docs/smoke-tests.md", "test files"],
  ["docs/trace.md", "the trace's formats"],
  ["docs/library.md", "experiments in TypeScript"],
];

/**
 * The page in mdoc(7).
 *
 * @param date of the release, as `2025-04-15`
 *
 * @example
 * ```ts
 * import { manPage } from "./man_page.ts";
 * console.log(manPage("0.1.0", "2025-04-15").startsWith(".Dd April 15, 2025\n")); // true
 * ```
 */
export function manPage(version: string, date: string): string {
  const day = new Date(date).toLocaleDateString("en-US", {
    timeZone: "UTC",
    year: "numeric",
    month: "long",
    day: "numeric",
  });
  return [
    `.Dd ${day}`,
    ".Dt VMEXIT 1",
    `.Os vmexit ${version}`,
    ".Sh NAME",
    ".Nm vmexit",
    ".Nd boot small x86 guests on KVM and explain every VM exit",
    ".Sh SYNOPSIS",
    ...COMMANDS.flatMap(synopsis),
    ".Nm",
    ".Fl -version",
    ".Sh DESCRIPTION",
    ".Nm",
    "boots a small x86 guest on Linux KVM and prints every VM exit with its reason",
    "decoded.",
    "What the guest writes to its serial port goes to stdout; exits, the summary and",
    "messages go to stderr.",
    "The exit code says how the run ended; a memory fault that cannot be resolved ends it with",
    "code 20 and the guest physical address.",
    ".Pp",
    "An image that names no file may name one of the example images that come with",
    ".Nm :",
    ".Ql vmexit run hello .",
    ...COMMANDS.flatMap(description),
    ".Sh ENVIRONMENT",
    ".Bl -tag -width Ds",
    ".It Ev NO_COLOR",
    "Not empty: no colour.",
    "Without it, colour appears on a terminal only.",
    ".El",
    ".Sh EXIT STATUS",
    ".Bl -tag -width Ds",
    ...exitCodes().flatMap(([code, meaning]) => [`.It ${escape(code)}`, escape(meaning)]),
    ".El",
    ".Sh EXAMPLES",
    ...EXAMPLES.flatMap(({ purpose, commands }, i) => [
      ...(i > 0 ? [".Pp"] : []),
      `${purpose}:`,
      ".Bd -literal -offset indent",
      ...commands.map(escape),
      ".Ed",
    ]),
    ".Sh SEE ALSO",
    '.Lk https://docs.kernel.org/virt/kvm/api.html "The KVM API"',
    ".Pp",
    "The documentation in the sources of",
    ".Nm :",
    ".Bl -tag -width Ds",
    ...DOCUMENTS.flatMap(([path, subject]) => [`.It Pa ${path}`, ...lines(subject)]),
    ".El",
    "",
  ].join("\n");
}

function synopsis({ name, operands }: CommandSpec): string[] {
  const operand = /^\[(.*)\]$/.exec(operands)?.[1];
  const line = operand ? `.Op Ar ${operand}` : operands && `.Ar ${operands}`;
  return [".Nm", `.Cm ${name}`, ".Op Ar options", ...(line ? [line] : [])];
}

function description(command: CommandSpec): string[] {
  const section = [
    `.Ss ${command.name}`,
    ...lines(command.summary),
    ".Bl -tag -width Ds",
    ...command.options.flatMap(option),
    ".El",
  ];
  if (command.name !== "run") return section;
  const classes = Object.entries(TRACE_CLASSES)
    .map(([name, reasons]): [string, string] => [name, reasons.join(", ")]);
  return [
    ...section,
    ...table("classes", "trace", classes),
    ...table("kinds", "hole", Object.entries(HOLES)),
  ];
}

/** A list of the words that an option takes. */
function table(what: string, option: string, rows: readonly [string, string][]): string[] {
  const items = rows.flatMap(([word, meaning]) => [`.It Cm ${word}`, ...lines(meaning)]);
  return [".Pp", `The ${what} of`, `.Fl -${option}`, "are:", ".Bl -tag -width Ds", ...items, ".El"];
}

function option({ name, short, value, help, repeat }: OptionSpec): string[] {
  const argument = value === undefined ? "" : ` Ar ${value}`;
  const letter = short === undefined ? "" : `Fl ${short}${argument} , `;
  return [
    `.It ${letter}Fl -${name}${argument}`,
    ...lines(repeat ? `${help}; may be given several times` : help),
  ];
}

/** The exit codes and what they mean, with the guest's own. */
function exitCodes(): [string, string][] {
  const own = Object.values(EXIT_CODES).map(({ code, meaning }): [string, string] => [
    String(code),
    meaning,
  ]);
  const [success, ...others] = own;
  return [success!, ["odd", GUEST_CODES], ...others];
}

/** Text in lines that are easy to read in the source. */
function lines(text: string): string[] {
  return wrap(escape(text).split(" "), "", "");
}

/** What roff would take for its own. */
function escape(text: string): string {
  return text.replaceAll("\\", "\\e").replace(/^([.'])/, "\\&$1");
}
