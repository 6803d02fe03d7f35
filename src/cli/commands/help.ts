/**
 * Help texts, made from the tables that the parser uses.
 *
 * @module
 */

import { TRACE_CLASSES } from "../../trace/spec.ts";
import { COMMANDS, type CommandSpec, type OptionSpec } from "../options/options.ts";
import { wrap } from "../wrap.ts";

/** What exit codes mean, as a table. */
export const EXIT_CODES = `Exit codes
  0    the guest ended well: HLT for good, power-off, reset
  odd  the guest wrote V to the debug-exit port (0xf4): (V << 1) | 1
  2    usage                     24   KVM internal error, emulation failure
  4    image unreadable          26   KVM could not enter the guest
  6    KVM unavailable           28   an exit that nobody handles
  8    a bug in vmexit           30   --max-exits reached
  10   output cannot be written  32   KVM_RUN failed with another errno
  20   memory fault              34   the guest panicked
  22   triple fault              124  timeout
                                 130  interrupted
`;

/** Commands that are nothing without their options. */
const OPTIONED = ["run", "test"];

/** The help of the whole tool. */
export function generalHelp(): string {
  const rows = COMMANDS.map(({ name, operands, summary }) =>
    `  vmexit ${
      `${name} ${OPTIONED.includes(name) ? "[options] " : ""}${operands}`.padEnd(24)
    } ${summary}`
  );
  return [
    "vmexit boots small x86 guests on KVM and explains every VM exit.",
    "",
    "Usage",
    ...rows,
    "  vmexit --version",
    "",
    EXIT_CODES,
  ].join("\n");
}

/** The help of one command. */
export function commandHelp(command: CommandSpec): string {
  const lines = [
    `vmexit ${command.name}: ${command.summary}`,
    "",
    `Usage: vmexit ${command.name} [options] ${command.operands}`.trimEnd(),
    "",
    ...command.options.flatMap(optionLines),
  ];
  if (command.name === "run") {
    const classes = Object.entries(TRACE_CLASSES).map(([name, reasons]) =>
      `  ${name.padEnd(10)} ${reasons.join(", ")}`
    );
    lines.push("", "Trace classes", ...classes, "", EXIT_CODES.trimEnd());
  }
  return lines.join("\n") + "\n";
}

const HELP_COLUMN = 29;

function optionLines({ name, short, value, help }: OptionSpec): string[] {
  const left = `  ${short ? `-${short},` : "   "} --${name}${value ? ` ${value}` : ""}`;
  return wrap(help.split(" "), left.padEnd(HELP_COLUMN), " ".repeat(HELP_COLUMN));
}
