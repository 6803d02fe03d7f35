/**
 * Completions for bash, 4.3 and newer.
 *
 * @module
 */

import { shortNames } from "../bundled_images.ts";
import { COMMANDS, type CommandSpec, type OptionSpec, type Values } from "../options/options.ts";

// Bash splits words at = and : too, and replaces only the last part with a completion. So the line is
// split again, whole words are completed, and what precedes the last part is taken off.
const FUNCTIONS = `
# _vmexit_words WORD...: those that start with the value; no space after one that ends with a colon.
_vmexit_words() {
  local word
  for word; do
    [[ $word == "$value"* ]] || continue
    COMPREPLY+=("$before$word")
    [[ $word != *: ]] || compopt -o nospace
  done
}

_vmexit_files() {
  local file
  compopt -o filenames
  while IFS= read -r file; do
    COMPREPLY+=("$before$file")
  done < <(compgen -f -- "$value")
}

# _vmexit_behind MARK: complete what follows the last mark.
_vmexit_behind() {
  [[ $value == *"$1"* ]] || return
  before+=\${value%"$1"*}$1
  value=\${value##*"$1"}
}

_vmexit() {
  local line=\${COMP_LINE:0:COMP_POINT} words value option part before='' breaks=''
  read -ra words <<<"$line"
  [[ $line != *[[:space:]] ]] || words+=('')
  value=\${words[-1]}
  COMPREPLY=()
  if ((\${#words[@]} == 2)); then
    _vmexit_words COMMANDS
    return
  fi
  case $value in
    --*=*)
      option=\${value%%=*}
      before=$option=
      value=\${value#*=}
      ;;
    *) option=\${words[-2]} ;;
  esac
  case "\${words[1]} $option" in
OPTION_CASES
    *)
      case "\${words[1]} $value" in
OPERAND_CASES
      esac
      ;;
  esac
  part=\${words[-1]}
  [[ $COMP_WORDBREAKS != *:* ]] || breaks=:
  [[ $COMP_WORDBREAKS != *=* ]] || breaks+='='
  [[ -z $breaks ]] || COMPREPLY=("\${COMPREPLY[@]#"\${part%"\${part##*["$breaks"]}"}"}")
}

complete -F _vmexit vmexit
`;

/** The script. */
export function bashCompletion(): string {
  const options = COMMANDS.flatMap((command) =>
    command.options
      .filter(({ value }) => value !== undefined)
      .flatMap((option) => [
        `    ${spellings(option).map((name) => quote(`${command.name} ${name}`)).join(" | ")})`,
        ...actions(option.values).map((line) => `      ${line}`),
        "      ;;",
      ])
  );
  const operands = COMMANDS.flatMap((command) => [
    `        ${quote(`${command.name} -`)}*) _vmexit_words ${
      words(command.options.flatMap(spellings))
    } ;;`,
    `        ${quote(`${command.name} `)}*)`,
    ...operandActions(command).map((line) => `          ${line}`),
    "          ;;",
  ]);
  const commands = [...COMMANDS.map(({ name }) => name), "--help", "--version"];
  return "# bash completion for vmexit\n" +
    FUNCTIONS
      .replace("OPTION_CASES", () => options.join("\n"))
      .replace("OPERAND_CASES", () => operands.join("\n"))
      .replace("COMMANDS", () => words(commands));
}

function spellings({ name, short }: OptionSpec): string[] {
  return short === undefined ? [`--${name}`] : [`--${name}`, `-${short}`];
}

function operandActions({ operandValues }: CommandSpec): string[] {
  return operandValues ? actions(operandValues) : [":"];
}

function actions(values: Values | undefined): string[] {
  switch (values?.kind) {
    case undefined:
      return [":"];
    case "file":
      return ["_vmexit_files"];
    case "image":
      return [`_vmexit_words ${words(shortNames())}`, "_vmexit_files"];
    case "list":
      return ["_vmexit_behind ,", `_vmexit_words ${words(values.words())}`];
    case "suffix":
      return [`_vmexit_behind : && _vmexit_words ${words(values.words())}`];
    case "word": {
      const all = `_vmexit_words ${words(values.words())}`;
      if (!values.words().some((word) => word.endsWith(":"))) return [all];
      return [`if _vmexit_behind :; then _vmexit_files; else ${all}; fi`];
    }
  }
}

function words(list: readonly string[]): string {
  return list.map(quote).join(" ");
}

function quote(word: string): string {
  return /^[\w:-]+$/.test(word) ? word : `'${word}'`;
}
