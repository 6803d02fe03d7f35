/**
 * Stand-in for `@std/cli/parse-args` on networks that reach npm but not JSR.
 *
 * It is made on no package, unlike the other stand-ins: every start of the tool waits for this
 * module, and loading an npm package takes about as long as the rest of Deno's start.
 *
 * @module
 */

import type { Aliases, Args, ParseOptions, Values } from "./parse_args_types.ts";

export type { Args, ParseOptions };

type Value = string | number | boolean;

/** Text as a number if it reads as one. */
function coerce(text: string): string | number {
  return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}

/** The value of a letter whose group goes on with `rest`; nothing if `rest` are options too. */
function valueInGroup(letter: string, rest: string): string | undefined {
  if (rest === "=") return "";
  if (rest === "-") return rest;
  if (/[A-Za-z]/.test(letter)) {
    const assigned = /=(.+)/.exec(rest)?.[1];
    if (assigned !== undefined) return assigned;
    if (/\d\.?$/.test(rest)) return rest;
  }
  return /^\W./s.test(rest) ? rest : undefined;
}

/** Names that would reach an object's prototype. */
function isReserved(name: string): boolean {
  return name === "__proto__" || name === "constructor";
}

/** Finds, or makes, the object that holds the last part of a dotted name. */
function holderOf(
  root: Record<string, unknown>,
  path: readonly string[],
): Record<string, unknown> | undefined {
  let at = root;
  for (const part of path.slice(0, -1)) {
    if (isReserved(part)) return undefined;
    at = (at[part] ??= {}) as Record<string, unknown>;
  }
  return isReserved(path.at(-1)!) ? undefined : at;
}

function has(root: Record<string, unknown>, path: readonly string[]): boolean {
  let at: unknown = root;
  for (const part of path) {
    if (!Object.hasOwn(at as object, part)) return false;
    at = (at as Record<string, unknown>)[part];
  }
  return true;
}

/** One parse: the options in a form made for lookups, and the result under way. */
class Parser {
  readonly result: Args = { _: [] };
  readonly #options: ParseOptions;
  readonly #aliases = new Map<string, readonly string[]>();
  readonly #booleans: ReadonlySet<string>;
  readonly #strings: ReadonlySet<string>;
  readonly #collected: ReadonlySet<string>;
  readonly #negatable: ReadonlySet<string>;

  constructor(options: ParseOptions) {
    this.#options = options;
    for (const [name, others] of Object.entries(options.alias ?? {})) {
      if (others === undefined) throw new TypeError(`"${name}" has an undefined alias`);
      const group = [name].concat(others);
      for (const member of group) {
        this.#aliases.set(member, group.filter((other) => other !== member));
      }
    }
    this.#booleans = this.#withAliases(options.boolean);
    this.#strings = this.#withAliases(options.string);
    this.#collected = this.#withAliases(options.collect);
    this.#negatable = this.#withAliases(options.negatable);
  }

  #aliasesOf(name: string): readonly string[] {
    return this.#aliases.get(name) ?? [];
  }

  #withAliases(names: boolean | string | readonly string[] | undefined): ReadonlySet<string> {
    const list: readonly string[] = typeof names === "object"
      ? names
      : typeof names === "string"
      ? [names]
      : [];
    return new Set(list.filter(Boolean).flatMap((name) => [name, ...this.#aliasesOf(name)]));
  }

  parse(args: readonly string[]): void {
    const terminator = args.indexOf("--");
    const [parsed, rest] = terminator < 0
      ? [args, []]
      : [args.slice(0, terminator), args.slice(terminator + 1)];
    for (let i = 0; i < parsed.length; i++) {
      const arg = parsed[i]!;
      if (arg.startsWith("--")) {
        if (this.#long(arg, parsed[i + 1])) i++;
      } else if (arg.startsWith("-") && arg.length > 1) {
        if (this.#short(arg, parsed[i + 1])) i++;
      } else {
        this.#positional(arg);
        if (this.#options.stopEarly) {
          this.result._.push(...parsed.slice(i + 1));
          break;
        }
      }
    }
    this.#fillIn();
    if (this.#options["--"]) this.result["--"] = rest;
    else this.result._.push(...rest);
  }

  #positional(arg: string): void {
    if (this.#options.unknown?.(arg) === false) return;
    this.result._.push(this.#strings.has("_") ? arg : coerce(arg));
  }

  /** Returns whether the next argument is the option's value. */
  #long(arg: string, next: string | undefined): boolean {
    const negated = arg.startsWith("--no-") && arg.length > "--no-".length;
    const bare = arg.slice(negated ? "--no-".length : "--".length);
    const equals = bare.indexOf("=", 1);
    if (equals > 0) {
      const [name, text] = [bare.slice(0, equals), bare.slice(equals + 1)];
      this.#set(name, this.#booleans.has(name) ? text !== "false" : text, arg);
      return false;
    }
    if (negated && this.#negatable.has(bare)) {
      this.#set(bare, false, arg, false);
      return false;
    }
    const name = arg.slice("--".length);
    const isBoolean = this.#options.boolean === true || this.#booleans.has(name);
    return this.#setByNext(name, next, arg, isBoolean, /^-/);
  }

  /** Returns whether the next argument is the last option's value. */
  #short(arg: string, next: string | undefined): boolean {
    for (let i = 1; i < arg.length - 1; i++) {
      const letter = arg[i]!;
      const value = valueInGroup(letter, arg.slice(i + 1));
      this.#set(letter, value ?? this.#bareValue(letter), arg);
      if (value !== undefined) return false;
    }
    const last = arg.at(-1)!;
    return this.#setByNext(last, next, arg, this.#booleans.has(last), /^--?[^-]/);
  }

  #bareValue(name: string): "" | true {
    return this.#strings.has(name) ? "" : true;
  }

  /** Sets an option that has no value of its own. Returns whether the next argument is it. */
  #setByNext(
    name: string,
    next: string | undefined,
    arg: string,
    isBoolean: boolean,
    optionLike: RegExp,
  ): boolean {
    const isTruth = next === "true" || next === "false";
    const isValue = !!next && (isBoolean ? isTruth : !optionLike.test(next));
    if (!isValue) this.#set(name, this.#bareValue(name), arg);
    else this.#set(name, isBoolean ? next === "true" : next, arg);
    return isValue;
  }

  #isDeclared(name: string, arg: string): boolean {
    return this.#booleans.has(name) || this.#strings.has(name) || this.#collected.has(name) ||
      this.#aliases.has(name) || (this.#options.boolean === true && /^--[^=]+$/.test(arg));
  }

  #set(name: string, value: Value, arg: string, mayCollect = true): void {
    if (!this.#isDeclared(name, arg) && this.#options.unknown?.(arg, name, value) === false) return;
    const final = typeof value === "string" && !this.#strings.has(name) ? coerce(value) : value;
    for (const path of [name, ...this.#aliasesOf(name)].map((each) => each.split("."))) {
      const holder = holderOf(this.result, path);
      const key = path.at(-1)!;
      if (holder === undefined) continue;
      if (!mayCollect || !this.#collected.has(name)) holder[key] = final;
      else if (Array.isArray(holder[key])) holder[key].push(final);
      else holder[key] = holder[key] ? [holder[key], final] : [final];
    }
  }

  /** Gives options that did not come their default value. */
  #fillIn(): void {
    const fill = (name: string, value: unknown, others: readonly string[] = []): void => {
      if (has(this.result, name.split("."))) return;
      for (const path of [name, ...others].map((each) => each.split("."))) {
        const holder = holderOf(this.result, path);
        if (holder !== undefined) holder[path.at(-1)!] = value;
      }
    };
    for (const [name, value] of Object.entries(this.#options.default ?? {})) {
      fill(name, value, this.#aliasesOf(name));
    }
    for (const name of this.#booleans) fill(name, this.#collected.has(name) ? [] : false);
    for (const name of this.#strings) if (this.#collected.has(name)) fill(name, []);
  }
}

/**
 * Parses a command line.
 *
 * `--name=value`, `--name value`, `--name`, `-n value`, `-n5`, `-n=value` and groups such as
 * `-abc` are options; the rest, and all that follows `--`, goes to `_`. A value that reads as a
 * number is made one unless the option is in `string`.
 *
 * @param args the command line, without the program's name
 * @param options which options there are
 * @returns a value for each option, and the other arguments
 *
 * @example
 * ```ts
 * import { parseArgs } from "@std/cli/parse-args";
 * import { assertEquals } from "@std/assert";
 *
 * const args = parseArgs(["-m", "64M", "hello.elf"], { string: ["memory"], alias: { memory: "m" } });
 * assertEquals(args.memory, "64M");
 * assertEquals(args._, ["hello.elf"]);
 * ```
 */
export function parseArgs<
  B extends boolean | string | undefined = undefined,
  S extends string | undefined = undefined,
  C extends string | undefined = undefined,
  N extends string | undefined = undefined,
  D extends Record<string, unknown> | undefined = undefined,
  const A extends Aliases | undefined = undefined,
  T extends boolean | undefined = undefined,
>(
  args: readonly string[],
  options?: ParseOptions<B, S, C, N, D, A, T>,
): Args<Values<B, S, C, N, D, A>, T> {
  const parser = new Parser(options ?? {});
  parser.parse(args);
  return parser.result as Args<Values<B, S, C, N, D, A>, T>;
}
