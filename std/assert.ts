/**
 * Stand-in for `@std/assert` on networks that reach npm but not JSR: the assertions that this
 * project uses, with the signatures and the behaviour of the real package.
 *
 * @module
 */

import { stripVTControlCharacters } from "node:util";
import { diffArrays } from "diff";
import { equal } from "./equal.ts";

export { equal };

/** A class whose instances are `T`s, abstract or not. */
// deno-lint-ignore no-explicit-any -- only `any` accepts every parameter list
type Class<T> = abstract new (...args: any[]) => T;

/** The values that a condition takes for false. */
export type Falsy = false | 0 | 0n | "" | null | undefined;

/** An array or typed array. */
export type ArrayLikeArg<T> = ArrayLike<T> & object;

/** Thrown by every assertion that does not hold. */
export class AssertionError extends Error {
  /**
   * @param message what was expected, and what was found
   * @param options as for `Error`
   */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AssertionError";
  }
}

function show(value: unknown): string {
  return Deno.inspect(value, {
    depth: Infinity,
    iterableLimit: Infinity,
    strAbbreviateSize: Infinity,
    compact: false,
    sorted: true,
    trailingComma: true,
    getters: true,
  });
}

/** The lines of two values: `-` is only in the actual one, `+` only in the expected one. */
function showDifference(actual: unknown, expected: unknown): string {
  const lines = (value: unknown): string[] =>
    (typeof value === "string" ? JSON.stringify(value).replaceAll("\\n", "\\n\n") : show(value))
      .split("\n");
  const colour = (code: number, line: string): string =>
    Deno.noColor ? line : `\x1b[${code}m${line}\x1b[0m`;
  const out = ["    - actual", "    + expected", ""];
  for (const { value, added, removed } of diffArrays(lines(actual), lines(expected))) {
    for (const line of value) {
      if (added) out.push(colour(32, `+   ${line}`));
      else if (removed) out.push(colour(31, `-   ${line}`));
      else out.push(`    ${line}`);
    }
  }
  return out.join("\n");
}

function refuse(what: string, msg: string | undefined, details = ""): never {
  throw new AssertionError((msg ? `${what}: ${msg}` : what) + (details && `\n\n${details}\n`));
}

/** Asserts that a value is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** Asserts that a value is falsy. */
export function assertFalse(expr: unknown, msg = ""): asserts expr is Falsy {
  if (expr) throw new AssertionError(msg);
}

/** Asserts that two values are deeply equal; a failure shows their difference line by line. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!equal(actual, expected)) refuse("Not equal", msg, showDifference(actual, expected));
}

/** Asserts that two values are not deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) refuse(`Expected anything but ${show(expected)}`, msg);
}

/** Asserts that two values are the same one, as `Object.is` says. */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  if (Object.is(actual, expected)) return;
  const [a, b] = [show(actual), show(expected)];
  if (a === b) refuse("Alike, but two different objects", msg, a);
  refuse("Not the same", msg, showDifference(actual, expected));
}

/** Asserts that two values are not the same one. */
export function assertNotStrictEquals<T>(actual: T, expected: T, msg?: string): void {
  if (Object.is(actual, expected)) refuse(`Expected anything but this ${show(expected)}`, msg);
}

/** Asserts that a value is neither `null` nor `undefined`. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  if (actual === null || actual === undefined) refuse(`Expected a value, found ${actual}`, msg);
}

/** Asserts `actual > expected`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual > expected)) compareFailed(actual, ">", expected, msg);
}

/** Asserts `actual >= expected`. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual >= expected)) compareFailed(actual, ">=", expected, msg);
}

/** Asserts `actual < expected`. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual < expected)) compareFailed(actual, "<", expected, msg);
}

/** Asserts `actual <= expected`. */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual <= expected)) compareFailed(actual, "<=", expected, msg);
}

/** Here, as in the real package, a message takes the place of the explanation. */
function compareFailed(actual: unknown, operator: string, expected: unknown, msg?: string): never {
  throw new AssertionError(msg ?? `${show(actual)} is not ${operator} ${show(expected)}`);
}

/** Asserts that a string matches a pattern. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (!expected.test(actual)) refuse(`${show(actual)} does not match ${expected}`, msg);
}

/** Asserts that a string does not match a pattern. */
export function assertNotMatch(actual: string, expected: RegExp, msg?: string): void {
  if (expected.test(actual)) refuse(`${show(actual)} matches ${expected}`, msg);
}

/** Asserts that a string holds another one. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (!actual.includes(expected)) refuse(`${show(actual)} does not hold ${show(expected)}`, msg);
}

/** Asserts that an array holds a deep equal of every element of another, in any order. */
export function assertArrayIncludes<T>(
  actual: ArrayLikeArg<T>,
  expected: ArrayLikeArg<T>,
  msg?: string,
): void {
  const held = Array.from(actual);
  const missing = Array.from(expected).filter((item) => !held.some((other) => equal(item, other)));
  if (missing.length > 0) refuse(`${show(actual)} does not hold ${show(missing)}`, msg);
}

/** Asserts that a value is an instance of a class. */
// deno-lint-ignore no-explicit-any -- only `any` accepts every class
export function assertInstanceOf<T extends Class<any>>(
  actual: unknown,
  expectedType: T,
  msg = "",
): asserts actual is InstanceType<T> {
  if (actual instanceof expectedType) return;
  refuse(`Expected an instance of ${expectedType.name}, found ${describeKind(actual)}`, msg);
}

function describeKind(value: unknown): string {
  if (value === null) return "null";
  return typeof value === "object" ? value.constructor?.name ?? "an object" : typeof value;
}

/** Asserts that the properties of `expected` are in `actual` too, deeply; others are ignored. */
export function assertObjectMatch(
  // deno-lint-ignore no-explicit-any -- an interface has no index signature; only `any` takes it
  actual: Record<PropertyKey, any>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
): void {
  assertEquals(pick(actual, expected), pick(expected, expected), msg);
}

/** What {@linkcode pick} made of a value by a shape, so that cycles end. */
type Picked = Map<object, Map<object, unknown>>;

/** The part of a value that a shape speaks of. Objects lose their class on the way. */
function pick(value: unknown, shape: unknown, picked: Picked = new Map()): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (typeof shape !== "object" || shape === null) return value;
  if (value instanceof Date || value instanceof RegExp) return value;
  if (value instanceof Set && shape instanceof Set) return value.intersection(shape);
  const byShape = picked.get(value) ?? new Map<object, unknown>();
  picked.set(value, byShape);
  if (byShape.has(shape)) return byShape.get(shape);
  if (value instanceof Map && shape instanceof Map) {
    const map = new Map<unknown, unknown>();
    byShape.set(shape, map);
    for (const [key, item] of value) {
      if (shape.has(key)) map.set(key, pick(item, shape.get(key), picked));
    }
    return map;
  }
  const part = Array.isArray(value) && Array.isArray(shape) ? [] : {};
  byShape.set(shape, part);
  for (const key of Reflect.ownKeys(shape)) {
    if (!Object.hasOwn(value, key) || (Array.isArray(part) && key === "length")) continue;
    Reflect.set(part, key, pick(Reflect.get(value, key), Reflect.get(shape, key), picked));
  }
  return part;
}

/** Asserts that a value is an `Error`, of a class and with a text in its message if these are given. */
export function assertIsError<E extends Error = Error>(
  error: unknown,
  ErrorClass?: Class<E>,
  msgMatches?: string | RegExp,
  msg?: string,
): asserts error is E {
  if (!(error instanceof Error)) refuse(`Expected an Error, found ${show(error)}`, msg);
  if (ErrorClass !== undefined && !(error instanceof ErrorClass)) {
    refuse(`Expected a ${ErrorClass.name}, found a ${error.constructor?.name}`, msg, error.stack);
  }
  if (msgMatches === undefined || msgMatches === "") return;
  const text = stripVTControlCharacters(error.message);
  const matches = typeof msgMatches === "string"
    ? text.includes(stripVTControlCharacters(msgMatches))
    : msgMatches.test(text);
  if (!matches) refuse(`Error message ${show(text)} lacks ${show(msgMatches)}`, msg);
}

/** What the trailing parameters of `assertThrows` and `assertRejects` ask for. */
interface ErrorWanted {
  readonly ErrorClass: Class<Error> | undefined;
  readonly msgIncludes: string | undefined;
  readonly msg: string | undefined;
}

function errorWanted(
  classOrMsg: Class<Error> | string | undefined,
  msgIncludes: string | undefined,
  msg: string | undefined,
): ErrorWanted {
  return typeof classOrMsg === "string"
    ? { ErrorClass: undefined, msgIncludes: undefined, msg: classOrMsg }
    : { ErrorClass: classOrMsg, msgIncludes, msg };
}

/** Looks at what was thrown only where the caller named a class. */
function checkThrown(thrown: unknown, { ErrorClass, msgIncludes, msg }: ErrorWanted): unknown {
  if (ErrorClass !== undefined) assertIsError(thrown, ErrorClass, msgIncludes, msg);
  return thrown;
}

/** Asserts that a function throws, and returns what it threw. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/** Asserts that a function throws an error of a class, and returns it. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: Class<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows(
  fn: () => unknown,
  classOrMsg?: Class<Error> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  const wanted = errorWanted(classOrMsg, msgIncludes, msg);
  try {
    fn();
  } catch (thrown) {
    return checkThrown(thrown, wanted);
  }
  refuse("The function did not throw", wanted.msg);
}

/** Asserts that a function returns a promise that is rejected, and resolves to the reason. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/** Asserts that a promise is rejected with an error of a class, and resolves to it. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: Class<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects(
  fn: () => PromiseLike<unknown>,
  classOrMsg?: Class<Error> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  const wanted = errorWanted(classOrMsg, msgIncludes, msg);
  let promise: unknown;
  try {
    promise = fn();
  } catch (thrown) {
    refuse(`Expected a rejected promise, but the call threw ${show(thrown)}`, wanted.msg);
  }
  if (typeof (promise as PromiseLike<unknown> | undefined)?.then !== "function") {
    refuse("Expected a promise, but the function returned none", wanted.msg);
  }
  try {
    await promise;
  } catch (reason) {
    return checkThrown(reason, wanted);
  }
  refuse("The promise was not rejected", wanted.msg);
}

/** Fails. */
export function fail(msg?: string): never {
  refuse("Failed", msg);
}

/** Fails: for a place that must not be reached. */
export function unreachable(msg?: string): never {
  refuse("Reached what must not be reached", msg);
}
