/**
 * Stand-in for `@std/assert` on networks that reach npm but not JSR: the assertions that this
 * project uses, with the signatures of the real package. Deep equality and the differences shown
 * are those of `node:assert`, which tells `0` from `-0`.
 *
 * @module
 */

import { deepStrictEqual } from "node:assert";
import { isDeepStrictEqual } from "node:util";

/** A class whose instances are `T`s, abstract or not. */
// deno-lint-ignore no-explicit-any -- only `any` accepts every parameter list
type Class<T> = abstract new (...args: any[]) => T;

/** Thrown by every assertion that does not hold. */
export class AssertionError extends Error {
  override name = "AssertionError";
}

function refuse(what: string, msg: string | undefined): never {
  throw new AssertionError(msg ? `${msg}: ${what}` : what);
}

/** Asserts that a value is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** Asserts that a value is falsy. */
export function assertFalse(expr: unknown, msg = ""): void {
  if (expr) throw new AssertionError(msg);
}

/** Asserts that two values are deeply equal; a failure shows their difference line by line. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  // Of texts, too, the lines that differ are shown.
  const isText = typeof actual === "string" && typeof expected === "string";
  try {
    if (isText) deepStrictEqual(actual.split("\n"), expected.split("\n"));
    else deepStrictEqual(actual, expected);
  } catch (error) {
    refuse((error as Error).message, msg);
  }
}

/** Asserts that two values are not deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (isDeepStrictEqual(actual, expected)) {
    refuse(`Expected anything but ${Deno.inspect(expected)}`, msg);
  }
}

/** Asserts that two values are the same one, as `Object.is` says. */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  if (Object.is(actual, expected)) return;
  refuse(`${Deno.inspect(actual)} is not the same as ${Deno.inspect(expected)}`, msg);
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

function compareFailed(actual: unknown, operator: string, expected: unknown, msg?: string): never {
  refuse(`${Deno.inspect(actual)} is not ${operator} ${Deno.inspect(expected)}`, msg);
}

/** Asserts that a string matches a pattern. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (!expected.test(actual)) refuse(`${JSON.stringify(actual)} does not match ${expected}`, msg);
}

/** Asserts that a string contains another one. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (actual.includes(expected)) return;
  refuse(`${JSON.stringify(actual)} does not contain ${JSON.stringify(expected)}`, msg);
}

/** Asserts that a value is an instance of a class. */
// deno-lint-ignore no-explicit-any -- only `any` accepts every class
export function assertInstanceOf<T extends Class<any>>(
  actual: unknown,
  expectedType: T,
  msg?: string,
): asserts actual is InstanceType<T> {
  if (actual instanceof expectedType) return;
  const found = Object(actual).constructor?.name;
  refuse(`Expected an instance of ${expectedType.name}, found ${found}: ${actual}`, msg);
}

/** Checks what was thrown: an error of the class, with the text in its message. */
function checkThrown(
  thrown: unknown,
  ErrorClass?: Class<Error>,
  msgIncludes = "",
  msg?: string,
): unknown {
  if (ErrorClass !== undefined) {
    assertInstanceOf(thrown, ErrorClass, msg);
    assertStringIncludes(thrown.message, msgIncludes, msg);
  }
  return thrown;
}

/** Asserts that a function throws, and returns what it threw. */
export function assertThrows(fn: () => unknown): unknown;
/** Asserts that a function throws an error of a class, and returns it. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: Class<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows(
  fn: () => unknown,
  ErrorClass?: Class<Error>,
  msgIncludes?: string,
  msg?: string,
): unknown {
  try {
    fn();
  } catch (thrown) {
    return checkThrown(thrown, ErrorClass, msgIncludes, msg);
  }
  refuse("The function did not throw", msg);
}

/** Asserts that a promise is rejected, and resolves to the reason. */
export function assertRejects(fn: () => PromiseLike<unknown>): Promise<unknown>;
/** Asserts that a promise is rejected with an error of a class, and resolves to it. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: Class<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects(
  fn: () => PromiseLike<unknown>,
  ErrorClass?: Class<Error>,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  const promise = fn(); // a synchronous throw is not a rejection
  try {
    await promise;
  } catch (reason) {
    return checkThrown(reason, ErrorClass, msgIncludes, msg);
  }
  refuse("The promise was not rejected", msg);
}

/** Fails. */
export function fail(msg?: string): never {
  refuse("Failed", msg);
}
