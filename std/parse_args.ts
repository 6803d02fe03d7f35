/**
 * Stand-in for `@std/cli/parse-args` on networks that reach npm but not JSR: long options, as far
 * as this project uses them. Unlike the package, it keeps numbers as text.
 *
 * It imports no package and no module of Node.js: every start waits for this module, and either
 * would take about as long to load as Deno takes to start.
 *
 * @module
 */

/** The options that `parseArgs` knows. */
export interface ParseOptions<S extends string, D extends Record<string, unknown>> {
  /** Options with a value. `_`: operands stay text. */
  string?: readonly S[];
  /** Options without a value, `false` when absent. */
  boolean?: readonly string[];
  /** Options that may come more than once; their values make an array. */
  collect?: readonly string[];
  /** Values of absent options. */
  default?: D;
  /** Called with each argument that is not declared, which is dropped if the answer is `false`. */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

/** What `parseArgs` returns: options by name, and the operands in `_`. */
export type Args<S extends string, D extends Record<string, unknown>> =
  & { _: (string | number)[] }
  & (string extends S ? Record<string, unknown>
    : { [K in Exclude<S, "_" | keyof D>]?: string } & D);

/**
 * Parses a command line. `--name=value`, `--name value` and `--name` are options; the rest, and
 * all that follows `--`, goes to `_`.
 *
 * @param args the command line, without the program's name
 *
 * @example
 * ```ts
 * import { parseArgs } from "@std/cli/parse-args";
 * import { assertEquals } from "@std/assert";
 *
 * const args = parseArgs(["--memory", "64M", "hello.elf"], { string: ["memory", "_"] });
 * assertEquals(args.memory, "64M");
 * assertEquals(args._, ["hello.elf"]);
 * ```
 */
export function parseArgs<
  S extends string = string,
  const D extends Record<string, unknown> = Record<never, never>,
>(args: readonly string[], options: ParseOptions<S, D> = {}): Args<S, D> {
  const strings = new Set<string>(options.string);
  const booleans = new Set(options.boolean);
  const collected = new Set(options.collect);
  const operands: string[] = [];
  const result: Record<string, unknown> = { _: operands };
  const keeps = (arg: string, key?: string, value?: unknown): boolean =>
    options.unknown?.(arg, key, value) !== false;
  const set = (arg: string, name: string, value: unknown): void => {
    const isDeclared = strings.has(name) || booleans.has(name) || collected.has(name);
    if (!isDeclared && !keeps(arg, name, value)) return;
    if (!collected.has(name)) result[name] = value;
    else ((result[name] ??= []) as unknown[]).push(value);
  };
  const queue = [...args];
  for (let arg = queue.shift(); arg !== undefined; arg = queue.shift()) {
    if (arg === "--") {
      operands.push(...queue.splice(0));
    } else if (arg.startsWith("-") && arg !== "-") {
      const [, name, attached] = /^--?([^=]*)(?:=(.*))?$/s.exec(arg)!;
      const takesNext = attached === undefined && !booleans.has(name!) &&
        /^[^-]/.test(queue[0] ?? "");
      const value = takesNext ? queue.shift() : attached;
      set(arg, name!, value ?? (strings.has(name!) ? "" : true));
    } else if (keeps(arg)) {
      operands.push(arg);
    }
  }
  for (const name of booleans) result[name] ??= false;
  for (const name of strings) if (collected.has(name)) result[name] ??= [];
  return { ...options.default, ...result } as Args<S, D>;
}
