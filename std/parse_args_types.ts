/**
 * The types of the stand-in for `@std/cli/parse-args`: what `parseArgs` is told, and the type of
 * what it makes of that.
 *
 * @module
 */

/** For each option name, its other names. */
export type Aliases = Readonly<Record<string, string | readonly string[]>>;

/** Names given as one string or as several; `T` is the union of them. */
type Names<T> = T | ReadonlyArray<Extract<T, string>>;

/** What `parseArgs` is told about the options. */
export interface ParseOptions<
  B extends boolean | string | undefined = boolean | string | undefined,
  S extends string | undefined = string | undefined,
  C extends string | undefined = string | undefined,
  N extends string | undefined = string | undefined,
  D extends Record<string, unknown> | undefined = Record<string, unknown> | undefined,
  A extends Aliases | undefined = Aliases | undefined,
  T extends boolean | undefined = boolean | undefined,
> {
  /** Puts what follows `--` in the result's `"--"` instead of in its `_`. */
  "--"?: T;
  /** Other names of options. A value is given under every name. */
  alias?: A;
  /** Options without a value, `false` when absent. `true`: every long option without `=`. */
  boolean?: Names<B>;
  /** Values of absent options. */
  default?: D;
  /** Takes nothing for an option after the first argument that is none. */
  stopEarly?: boolean;
  /** Options whose value stays a string even when it reads as a number. */
  string?: Names<S>;
  /** Options that may come more than once, and whose values make an array. */
  collect?: Names<C>;
  /** Options that `--no-NAME` sets to `false`. */
  negatable?: Names<N>;
  /** Told of each argument that no option declares. It is left out if the answer is `false`. */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

/** `false`, for an option that is in `N`. */
type Negated<K, N> = K extends N ? false : never;

type Declared<B, S, C, N> =
  & { [K in Extract<B, string>]: K extends C ? boolean[] : boolean }
  & { [K in Exclude<Extract<S, string>, C>]?: string | Negated<K, N> }
  & { [K in Extract<S, string> & C]: string[] | Negated<K, N> }
  & { [K in Exclude<Extract<C, string>, B | S>]: unknown[] | Negated<K, N> };

type WithDefaults<V, D> = D extends Record<string, unknown> ?
    & Omit<V, keyof D>
    & { [K in keyof D]: K extends keyof V ? D[K] | NonNullable<V[K]> : unknown }
  : V;

type AliasOf<K, A> = K extends keyof A ? A[K] extends ReadonlyArray<infer Name> ? Name : A[K]
  : never;

type WithAliases<V, A> = { [K in keyof V as K | Extract<AliasOf<K, A>, string>]: V[K] };

/** Every option with the type of its value; any option and any value when none has a type. */
export type Values<B, S, C, N, D, A> = [B, S, C] extends [false | undefined, undefined, undefined]
  // deno-lint-ignore no-explicit-any -- as in the real package
  ? Record<string, any>
  : Record<string, unknown> & WithAliases<WithDefaults<Declared<B, S, C, N>, D>, A>;

/** What `parseArgs` returns. */
export type Args<
  // deno-lint-ignore no-explicit-any -- as in the real package
  V extends Record<string, unknown> = Record<string, any>,
  T extends boolean | undefined = undefined,
> =
  & V
  & {
    /** The arguments that belong to no option. */
    _: Array<string | number>;
  }
  & (boolean extends T ? { "--"?: string[] }
    : true extends T ? { "--": string[] }
    : Record<never, never>);
