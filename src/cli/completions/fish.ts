/**
 * Completions for fish, 3.0 and newer.
 *
 * @module
 */

import { shortNames } from "../bundled_images.ts";
import { COMMANDS, type CommandSpec, type OptionSpec, type Values } from "../options/options.ts";

const FUNCTIONS = `# fish completion for vmexit

function __vmexit_command
    set -l words (commandline -opc)
    test (count $words) -ge 2; and contains -- $words[2] $argv
end

function __vmexit_no_command
    test (count (commandline -opc)) -eq 1
end

# What stands before the last mark, with the mark.
function __vmexit_before
    commandline -ct | string replace -r '^(-[^=]*=|-[a-zA-Z])' '' | string match -r ".*[$argv]"
end

complete -c vmexit -f
complete -c vmexit -n __vmexit_no_command -s h -l help -d 'show help'
complete -c vmexit -n __vmexit_no_command -s V -l version -d 'print the version'
`;

/** The script. */
export function fishCompletion(): string {
  const lines = COMMANDS.flatMap((command) => [
    `complete -c vmexit -n __vmexit_no_command -a ${command.name} -d ${quote(command.summary)}`,
    ...command.options.map((option) => optionLine(command, option)),
    ...(command.operandValues ? [operandLine(command, command.operandValues)] : []),
  ]);
  return `${FUNCTIONS}${lines.join("\n")}\n`;
}

function optionLine({ name: command }: CommandSpec, option: OptionSpec): string {
  const { name, short, value, values, help } = option;
  return [
    ...["complete -c vmexit", `-n '__vmexit_command ${command}'`],
    ...(short === undefined ? [] : [`-s ${short}`]),
    `-l ${name}`,
    ...(value === undefined ? [] : values ? argument(values) : ["-x"]),
    ...["-d", quote(help)],
  ].join(" ");
}

function operandLine({ name }: CommandSpec, values: Values): string {
  const files = values.kind === "image" || values.kind === "file" ? ["-F"] : [];
  const words = values.kind === "image"
    ? [`-a ${quote(shortNames().join(" "))}`]
    : argument(values);
  return ["complete -c vmexit", `-n '__vmexit_command ${name}'`, ...files, ...words]
    .filter((word) => word !== "-x")
    .join(" ");
}

function argument(values: Values): string[] {
  switch (values.kind) {
    case "file":
      return ["-r -F"];
    case "image":
      return ["-r -F", `-a ${quote(shortNames().join(" "))}`];
    case "list":
      return ["-x", `-a ${quote(`(__vmexit_before ,)${braces(values)} ${all(values)}`)}`];
    case "suffix":
      return ["-x", `-a ${quote(`(__vmexit_before :)${braces(values)}`)}`];
    case "word": {
      const files = values.words().some((word) => word.endsWith(":"));
      return [files ? "-r -F" : "-x", `-a ${quote(all(values))}`];
    }
  }
}

type Words = Extract<Values, { words(): readonly string[] }>;

function all({ words }: Words): string {
  return words().join(" ");
}

function braces({ words }: Words): string {
  return `{${words().join(",")}}`;
}

function quote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
