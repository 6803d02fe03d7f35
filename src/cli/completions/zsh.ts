/**
 * Completions for zsh.
 *
 * @module
 */

import { shortNames } from "../bundled_images.ts";
import { COMMANDS, type CommandSpec, type OptionSpec, type Values } from "../options/options.ts";

/** The script: a file for `fpath`, or for `source` after `compinit`. */
export function zshCompletion(): string {
  const commands = COMMANDS.map(({ name, summary }) => quote(`${name}:${summary}`));
  return `#compdef vmexit

_vmexit_image() {
  _alternative 'images:bundled image:(${shortNames().join(" ")})' 'files:file:_files'
}

_vmexit_suffix() {
  compset -P '*:' && compadd -- "$@"
}

# Behind a word that ends with a colon comes a file.
_vmexit_word() {
  local -a before=(\${(M)@:#*:})
  if (( $#before )) && compset -P '*:'; then
    _files
  else
    compadd -- \${@:#*:}
    compadd -S '' -- $before
  fi
}

_vmexit() {
  local curcontext="$curcontext" state line
  typeset -A opt_args
  local -a commands=(
${commands.map((command) => `    ${command}`).join("\n")}
  )
  _arguments -C \\
    '(- *)'{-h,--help}'[show help]' \\
    '(- *)'{-V,--version}'[print the version]' \\
    '1:command:{_describe command commands}' \\
    '*::argument:->arguments' && return
  [[ $state == arguments ]] || return
  case $words[1] in
${COMMANDS.map(commandCase).join("\n")}
  esac
}

if [[ $funcstack[1] == _vmexit ]]; then
  _vmexit "$@"
else
  compdef _vmexit vmexit
fi
`;
}

function commandCase(
  { name, options, operands, operandCount, operandValues }: CommandSpec,
): string {
  const specs = options.map(optionSpec);
  if (operandCount[1] > 0) {
    const optional = operandCount[0] === 0 ? "::" : ":";
    specs.push(
      quote(
        `1${optional}${operands.replace(/[[\]]/g, "")}:${
          operandValues ? action(operandValues) : " "
        }`,
      ),
    );
  }
  return `    ${name})\n      _arguments -s -S \\\n        ${
    specs.join(" \\\n        ")
  }\n      ;;`;
}

function optionSpec({ name, short, value, values, repeat, help }: OptionSpec): string {
  const text = `[${help.replace(/[[\]\\:]/g, "\\$&")}]`;
  const argument = value === undefined
    ? ""
    : `:${value.replaceAll(":", "\\:")}:${values ? action(values) : " "}`;
  const [long, letter] = value === undefined
    ? [`--${name}`, `-${short}`]
    : [`--${name}=`, `-${short}+`];
  if (short === undefined) return quote(`${repeat ? "*" : ""}${long}${text}${argument}`);
  const exclusive = repeat ? "*" : `(-${short} --${name})`;
  return `${quote(exclusive)}{${letter},${long}}${quote(text + argument)}`;
}

/** What `_arguments` does for a value. */
function action(values: Values): string {
  switch (values.kind) {
    case "file":
      return "_files";
    case "image":
      return " _vmexit_image";
    case "list":
      return ` _values -s , value ${values.words().join(" ")}`;
    case "suffix":
      return ` _vmexit_suffix ${values.words().join(" ")}`;
    case "word":
      return ` _vmexit_word ${values.words().join(" ").replaceAll(":", "\\:")}`;
  }
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
