/**
 * What this project relies on in `@std/assert`. The tests pass on the real package and on its
 * stand-in alike, whichever of them the mapping in use names.
 *
 * A failure is watched with `failure`, not with `assertThrows`, so that the assertions are not
 * judged by one another.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  AssertionError,
  assertLess,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  fail,
} from "@std/assert";
import { stripVTControlCharacters } from "node:util";

/** The plain text with which a call fails as an assertion. */
function failure(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof AssertionError) return stripVTControlCharacters(error.message);
    throw error;
  }
  throw new Error("it did not fail");
}

/** The same for a call that fails by rejecting its promise. */
async function rejection(call: () => Promise<unknown>): Promise<string> {
  let outcome: () => unknown = () => undefined;
  try {
    await call();
  } catch (error) {
    outcome = () => {
      throw error;
    };
  }
  return failure(outcome);
}

function expect(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

/** Checks both ways round whether two values are equal. */
function expectEqual(expected: boolean, a: unknown, b: unknown): void {
  for (const [one, other] of [[a, b], [b, a]]) {
    if (expected) {
      assertEquals(one, other);
      failure(() => assertNotEquals(one, other));
    } else {
      assertNotEquals(one, other);
      failure(() => assertEquals(one, other));
    }
  }
}

Deno.test("an AssertionError is an Error with that name, a message and a cause", () => {
  const error = new AssertionError("text", { cause: 5 });
  expect(error instanceof Error, "it is not an Error");
  expect(error.name === "AssertionError" && error.message === "text", String(error));
  expect(error.cause === 5, "the cause is lost");
});

Deno.test("assert and assertFalse look at truth, and say what they are told to say", () => {
  for (const value of [true, 1, "0", [], 1n]) {
    assert(value);
    failure(() => assertFalse(value));
  }
  for (const value of [false, 0, "", null, undefined, NaN, 0n]) {
    assertFalse(value);
    failure(() => assert(value));
  }
  expect(failure(() => assert(false, "why")) === "why", "assert's message");
  expect(failure(() => assertFalse(1, "why")) === "why", "assertFalse's message");
});

Deno.test("assert narrows a type", () => {
  const value: string | undefined = ["text"].at(0);
  assert(value !== undefined);
  const text: string = value;
  assertEquals(text, "text");
});

Deno.test("assertEquals compares primitive values by value, and NaN as itself", () => {
  expectEqual(true, 5, 5);
  expectEqual(true, NaN, NaN);
  expectEqual(true, 5n, 5n);
  expectEqual(false, 5n, 5);
  expectEqual(false, "5", 5);
  expectEqual(false, null, undefined);
  expectEqual(false, Symbol("a"), Symbol("a"));
  expectEqual(false, null, {});
});

Deno.test("assertEquals compares objects and arrays by content", () => {
  expectEqual(true, { a: [1, { b: 2n }], c: "x" }, { c: "x", a: [1, { b: 2n }] });
  expectEqual(false, { a: 1 }, { a: 1, b: 2 });
  expectEqual(false, { a: undefined }, {});
  expectEqual(false, { a: undefined }, { b: undefined });
  expectEqual(false, [1, 2], [2, 1]);
  expectEqual(false, [1], [1, undefined]);
  expectEqual(false, [], {});
});

Deno.test("assertEquals sees symbol keys and ignores hidden ones", () => {
  const key = Symbol("key");
  expectEqual(true, { [key]: 1 }, { [key]: 1 });
  expectEqual(false, { [key]: 1 }, { [key]: 2 });
  expectEqual(true, Object.defineProperty({ a: 1 }, "b", { value: 1 }), { a: 1 });
});

Deno.test("assertEquals compares functions by identity", () => {
  const f = (): number => 1;
  expectEqual(true, { f }, { f });
  expectEqual(false, f, (): number => 1);
});

Deno.test("assertEquals compares sets and maps by content in any order", () => {
  expectEqual(true, new Set([1, "a"]), new Set(["a", 1]));
  expectEqual(true, new Set([{ a: 1 }, { b: 2 }]), new Set([{ b: 2 }, { a: 1 }]));
  expectEqual(false, new Set([1]), new Set([2]));
  expectEqual(false, new Set([1]), new Set([1, 2]));
  expectEqual(true, new Map([["a", [1]], ["b", [2]]]), new Map([["b", [2]], ["a", [1]]]));
  expectEqual(true, new Map([[{ k: 1 }, { v: 1 }]]), new Map([[{ k: 1 }, { v: 1 }]]));
  expectEqual(false, new Map([["a", 1]]), new Map([["a", 2]]));
  expectEqual(false, new Map([["a", 1]]), new Map([["b", 1]]));
  expectEqual(false, new Map([["a", new Map([["b", 1]])]]), new Map([["a", new Map([["b", 2]])]]));
  expectEqual(false, new Set([1]), new Map([[1, 1]]));
});

Deno.test("assertEquals compares bytes", () => {
  expectEqual(true, new Uint8Array([1, 2]), new Uint8Array([1, 2]));
  expectEqual(false, new Uint8Array([1, 2]), new Uint8Array([1, 3]));
  expectEqual(false, new Uint8Array([1]), new Uint8Array([1, 0]));
  expectEqual(false, new Uint8Array([1]), new Uint16Array([1]));
  expectEqual(false, new Uint8Array([1]), [1]);
  expectEqual(true, new BigUint64Array([1n]), new BigUint64Array([1n]));
  expectEqual(true, new Uint8Array([1]).buffer, new Uint8Array([1]).buffer);
  expectEqual(false, new Uint8Array([1]).buffer, new Uint8Array([2]).buffer);
  expectEqual(true, new Uint8Array([0, 1, 2]).subarray(1), new Uint8Array([1, 2]));
  const view = (...bytes: number[]): DataView => new DataView(new Uint8Array(bytes).buffer);
  expectEqual(true, view(1, 2), view(1, 2));
  expectEqual(false, view(1, 2), view(1, 3));
});

Deno.test("assertEquals compares dates by time, patterns and URLs by text", () => {
  expectEqual(true, new Date(5), new Date(5));
  expectEqual(false, new Date(5), new Date(6));
  expectEqual(true, new Date(NaN), new Date(NaN));
  expectEqual(true, /a/g, /a/g);
  expectEqual(false, /a/g, /a/i);
  expectEqual(true, new URL("file:///a"), new URL("file:///a"));
  expectEqual(false, new URL("file:///a"), new URL("file:///b"));
});

Deno.test("assertEquals comes to an end on cycles", () => {
  const loop = (value: number): unknown => {
    const object: Record<string, unknown> = { value };
    object.self = object;
    return object;
  };
  expectEqual(true, loop(1), loop(1));
  expectEqual(false, loop(1), loop(2));
});

Deno.test("assertEquals is not fooled by meeting the same two different objects twice", () => {
  const [a, b] = [{ n: 1 }, { n: 2 }];
  expectEqual(false, new Set([[a], [a, a]]), new Set([[b], [b, b]]));
});

// The package and its stand-in do not agree on which side is + and which is -.
Deno.test("a failed assertEquals shows both sides line by line, and the message", () => {
  const text = failure(() => assertEquals({ a: 1, b: [2, 3] }, { a: 1, b: [2, 4] }, "why"));
  for (const line of [/^ .*a: 1,?$/m, /^ .*2,?$/m, /^[-+] .*3,?$/m, /^[-+] .*4,?$/m]) {
    assertMatch(text, line);
  }
  assertMatch(text, /^.*why/);
});

Deno.test("a failed assertEquals of texts shows the lines that differ", () => {
  const text = failure(() => assertEquals("one\ntwo\nthree", "one\n2\nthree"));
  for (const line of [/^[-+] .*two/m, /^[-+] .*2/m, /^ .*three/m]) assertMatch(text, line);
});

Deno.test("assertStrictEquals asks for the same object or value", () => {
  const object = { a: 1 };
  assertStrictEquals(object, object);
  assertStrictEquals(NaN, NaN);
  failure(() => assertStrictEquals({ a: 1 }, { a: 1 }));
  assertStringIncludes(failure(() => assertStrictEquals(1, 2, "why")), "why");
});

Deno.test("assertStrictEquals narrows a type", () => {
  const value: unknown = "halt";
  assertStrictEquals(value, "halt" as const);
  const kind: "halt" = value;
  assertEquals(kind, "halt");
});

Deno.test("the comparisons compare numbers, bigints and texts", () => {
  assertGreater(2, 1);
  assertGreaterOrEqual(2n, 2n);
  assertLess("a", "b");
  failure(() => assertGreater(1, 1));
  failure(() => assertGreaterOrEqual(1, 2));
  failure(() => assertLess(1, 1));
  failure(() => assertLess(NaN, 1));
  for (const compare of [assertGreater, assertGreaterOrEqual]) {
    const text = failure(() => compare(1, 2));
    assertMatch(text, /1 .*>=? 2/);
    assertStringIncludes(failure(() => compare(1, 2, "why")), "why");
  }
});

Deno.test("assertMatch tries a pattern", () => {
  assertMatch("gpa=0x1000", /0x[0-9a-f]+/);
  assertStringIncludes(failure(() => assertMatch("gpa", /0x/, "why")), "why");
});

Deno.test("assertStringIncludes looks for a text, and shows both when it is not there", () => {
  assertStringIncludes("abc", "bc");
  const text = failure(() => assertStringIncludes("abc", "bd", "why"));
  for (const part of ["abc", "bd", "why"]) expect(text.includes(part), text);
});

Deno.test("assertInstanceOf looks at the class, names both, and narrows a type", () => {
  const value: unknown = new RangeError("x");
  assertInstanceOf(value, Error);
  const error: Error = value;
  assertEquals(error.message, "x");
  const text = failure(() => assertInstanceOf(new Date(0), RegExp, "why"));
  for (const part of ["Date", "RegExp", "why"]) expect(text.includes(part), text);
  failure(() => assertInstanceOf(null, Object));
  failure(() => assertInstanceOf("text", String));
});

Deno.test("assertThrows returns what was thrown, whatever it is", () => {
  const error = new RangeError("x");
  const thrown = assertThrows(() => {
    throw error;
  });
  assertStrictEquals(thrown, error);
  assertEquals(
    assertThrows(() => {
      throw "text";
    }),
    "text",
  );
});

Deno.test("assertThrows asks for a class and a part of the message, and types what it returns", () => {
  class FaultError extends Error {
    readonly gpa = 0x1000n;
  }
  const call = (): never => {
    throw new FaultError("GPA 0x1000 is bad");
  };
  const fault: FaultError = assertThrows(call, FaultError, "GPA 0x1000 is");
  assertEquals(fault.gpa, 0x1000n);
  assertThrows(call, Error);
  failure(() => assertThrows(call, TypeError));
  failure(() => assertThrows(call, FaultError, "0x2000"));
  const text = failure(() => assertThrows(call, RangeError, "", "why"));
  for (const part of ["RangeError", "FaultError", "why"]) expect(text.includes(part), text);
});

Deno.test("assertThrows fails when nothing, or no Error, is thrown", () => {
  failure(() => assertThrows(() => undefined));
  assertStringIncludes(failure(() => assertThrows(() => undefined, Error, "", "why")), "why");
  const call = (): never => {
    throw "text";
  };
  failure(() => assertThrows(call, Error));
});

Deno.test("assertRejects resolves to the reason, and looks at class and message", async () => {
  const reason = new RangeError("x is bad");
  const call = (): Promise<never> => Promise.reject(reason);
  assertStrictEquals(await assertRejects(call), reason);
  const error: RangeError = await assertRejects(call, RangeError, "is bad");
  assertStrictEquals(error, reason);
  assertEquals(await assertRejects(() => Promise.reject("text")), "text");
  await rejection(() => assertRejects(call, TypeError));
  await rejection(() => assertRejects(call, RangeError, "is good"));
  await rejection(() => assertRejects(() => Promise.reject("text"), Error));
});

Deno.test("assertRejects fails when the promise is fulfilled", async () => {
  await rejection(() => assertRejects(() => Promise.resolve(1)));
  const text = await rejection(() => assertRejects(() => Promise.resolve(1), Error, "", "why"));
  assertStringIncludes(text, "why");
});

Deno.test("fail fails", () => {
  assertStringIncludes(failure(() => fail("why")), "why");
  failure(() => fail());
});
