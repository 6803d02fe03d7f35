/**
 * The manual page vmexit(1), made from the tables that the parser uses.
 *
 * @module
 */

import { EXIT_CODES, GUEST_CODES } from "../src/exit_codes.ts";
import { COMMANDS, type CommandSpec, type OptionSpec } from "../src/cli/options/options.ts";
import { wrap } from "../src/cli/wrap.ts";
import { TRACE_CLASSES } from "../src/trace/spec.ts";

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
    "The exit code says how the run ended.",
    ".Pp",
    "An image that is no file may be one of the example images that come with",
    ".Nm ,",
    "by its name:",
    ".Ql vmexit run hello .",
    ...COMMANDS.flatMap(description),
    ".Sh ENVIRONMENT",
    ".Bl -tag -width Ds",
    ".It Ev NO_COLOR",
    "Not empty: no colour.",
    "Without it, there is colour on a terminal only.",
    ".El",
    ".Sh EXIT STATUS",
    ".Bl -tag -width Ds",
    ...exitCodes().flatMap(([code, meaning]) => [`.It ${escape(code)}`, escape(meaning)]),
    ".El",
    ".Sh EXAMPLES",
    "The guest's output alone:",
    ".Pp",
    ".Dl vmexit run -q hello",
    ".Pp",
    "Only some exits, for programs:",
    ".Pp",
    ".Dl vmexit run --trace mmio --format json image.elf",
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
  return [
    ...section,
    ".Pp",
    "The classes of",
    ".Fl -trace",
    "are:",
    ".Bl -tag -width Ds",
    ...Object.entries(TRACE_CLASSES).flatMap(([name, reasons]) => [
      `.It Cm ${name}`,
      ...lines(reasons.join(", ")),
    ]),
    ".El",
  ];
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
