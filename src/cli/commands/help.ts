/**
 * Help texts, from the same tables as the parser.
 *
 * @module
 */

import { EXIT_CODES, type ExitCode, GUEST_CODES } from "../../exit_codes.ts";
import { TRACE_CLASSES } from "../../trace/spec.ts";
import { COMMANDS, type CommandSpec, type OptionSpec } from "../options/options.ts";
import { wrap } from "../wrap.ts";

/** What exit codes mean, as a table. */
export const EXIT_CODE_TABLE = exitCodeTable();

/** The first two rows are long; the others stand in two columns. */
function exitCodeTable(): string {
  const [success, ...others] = Object.values<ExitCode>(EXIT_CODES);
  const cells = others.map(({ code, meaning }) => `${code}`.padEnd(5) + meaning);
  const half = Math.floor(cells.length / 2);
  const left = cells.slice(0, half);
  const right = cells.slice(half);
  const rows = right.map((cell, i) => (left[i] ?? "").padEnd(31) + cell);
  return [
    "Exit codes",
    `  0    ${success!.meaning}`,
    `  odd  ${GUEST_CODES}`,
    ...rows.map((row) => `  ${row}`),
  ].join("\n") + "\n";
}

/** Commands whose usage line mentions options. */
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
    EXIT_CODE_TABLE,
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
    lines.push("", "Trace classes", ...classes, "", EXIT_CODE_TABLE.trimEnd());
  }
  return lines.join("\n") + "\n";
}

const HELP_COLUMN = 29;

function optionLines({ name, short, value, help }: OptionSpec): string[] {
  const left = `  ${short ? `-${short},` : "   "} --${name}${value ? ` ${value}` : ""}`;
  return wrap(help.split(" "), left.padEnd(HELP_COLUMN), " ".repeat(HELP_COLUMN));
}
