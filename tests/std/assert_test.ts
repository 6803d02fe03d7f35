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
  assertArrayIncludes,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  AssertionError,
  assertIsError,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertNotMatch,
  assertNotStrictEquals,
  assertObjectMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  equal,
  fail,
  unreachable,
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

/** Checks `equal`, both ways round, and that the two assertions made on it agree. */
function expectEqual(expected: boolean, a: unknown, b: unknown): void {
  const what = `${Deno.inspect(a)} and ${Deno.inspect(b)}`;
  expect(equal(a, b) === expected, `equal: ${what}`);
  expect(equal(b, a) === expected, `equal, turned round: ${what}`);
  if (expected) {
    assertEquals(a, b);
    failure(() => assertNotEquals(a, b));
  } else {
    assertNotEquals(a, b);
    failure(() => assertEquals(a, b));
  }
}

class Point {
  #norm: number;
  constructor(public x: number, norm = 0) {
    this.#norm = norm;
  }
  get norm(): number {
    return this.#norm;
  }
}

class Other {
  constructor(public x: number) {}
}

Deno.test("an AssertionError is an Error with that name, a message and a cause", () => {
  const error = new AssertionError("text", { cause: 5 });
  expect(error instanceof Error, "it is no Error");
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

Deno.test("equal compares primitive values by value, 0 as -0 and NaN as itself", () => {
  expectEqual(true, 5, 5);
  expectEqual(true, 0, -0);
  expectEqual(true, NaN, NaN);
  expectEqual(true, 5n, 5n);
  expectEqual(false, 5n, 5);
  expectEqual(false, "5", 5);
  expectEqual(false, null, undefined);
  expectEqual(false, Symbol("a"), Symbol("a"));
  expectEqual(false, null, {});
});

Deno.test("equal compares objects and arrays by content", () => {
  expectEqual(true, { a: [1, { b: 2n }], c: "x" }, { c: "x", a: [1, { b: 2n }] });
  expectEqual(true, { a: -0 }, { a: 0 });
  expectEqual(false, { a: 1 }, { a: 1, b: 2 });
  expectEqual(false, { a: undefined }, {});
  expectEqual(false, { a: undefined }, { b: undefined });
  expectEqual(false, [1, 2], [2, 1]);
  expectEqual(false, [1], [1, undefined]);
  expectEqual(false, [], {});
});

Deno.test("equal sees symbol keys and ignores hidden ones", () => {
  const key = Symbol("key");
  expectEqual(true, { [key]: 1 }, { [key]: 1 });
  expectEqual(false, { [key]: 1 }, { [key]: 2 });
  expectEqual(true, Object.defineProperty({ a: 1 }, "b", { value: 1 }), { a: 1 });
});

Deno.test("equal takes an object without a prototype for a plain one", () => {
  expectEqual(true, Object.assign(Object.create(null), { a: 1 }), { a: 1 });
});

Deno.test("equal tells classes apart and reads their accessors", () => {
  expectEqual(true, new Point(1), new Point(1));
  expectEqual(false, new Point(1), new Point(2));
  expectEqual(false, new Point(1, 1), new Point(1, 2));
  expectEqual(false, new Point(1), new Other(1));
  expectEqual(false, new Other(1), { x: 1 });
});

Deno.test("equal compares functions by identity", () => {
  const f = (): number => 1;
  expectEqual(true, { f }, { f });
  expectEqual(false, f, (): number => 1);
});

Deno.test("equal compares sets and maps by content in any order", () => {
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

Deno.test("equal compares bytes", () => {
  expectEqual(true, new Uint8Array([1, 2]), new Uint8Array([1, 2]));
  expectEqual(false, new Uint8Array([1, 2]), new Uint8Array([1, 3]));
  expectEqual(false, new Uint8Array([1]), new Uint8Array([1, 0]));
  expectEqual(false, new Uint8Array([1]), new Uint16Array([1]));
  expectEqual(false, new Uint8Array([1]), [1]);
  expectEqual(true, new BigUint64Array([1n]), new BigUint64Array([1n]));
  expectEqual(true, new Float64Array([NaN, 0]), new Float64Array([NaN, -0]));
  expectEqual(true, new Uint8Array([1]).buffer, new Uint8Array([1]).buffer);
  expectEqual(false, new Uint8Array([1]).buffer, new Uint8Array([2]).buffer);
  expectEqual(true, new Uint8Array([0, 1, 2]).subarray(1), new Uint8Array([1, 2]));
  const view = (...bytes: number[]): DataView => new DataView(new Uint8Array(bytes).buffer);
  expectEqual(true, view(1, 2), view(1, 2));
  expectEqual(false, view(1, 2), view(1, 3));
});

Deno.test("equal compares dates by time, patterns and URLs by text", () => {
  expectEqual(true, new Date(5), new Date(5));
  expectEqual(false, new Date(5), new Date(6));
  expectEqual(true, new Date(NaN), new Date(NaN));
  expectEqual(true, /a/g, /a/g);
  expectEqual(false, /a/g, /a/i);
  expectEqual(true, new URL("file:///a"), new URL("file:///a"));
  expectEqual(false, new URL("file:///a"), new URL("file:///b"));
});

Deno.test("equal refuses what cannot be looked into", () => {
  assertThrows(() => equal(new WeakMap(), new WeakMap()), TypeError);
  assertThrows(() => equal(new WeakSet(), new WeakSet()), TypeError);
});

Deno.test("equal comes to an end on cycles", () => {
  const loop = (value: number): unknown => {
    const object: Record<string, unknown> = { value };
    object.self = object;
    return object;
  };
  expectEqual(true, loop(1), loop(1));
  expectEqual(false, loop(1), loop(2));
});

Deno.test("equal is not fooled by meeting the same two different objects twice", () => {
  const [a, b] = [{ n: 1 }, { n: 2 }];
  expectEqual(false, new Set([[a], [a, a]]), new Set([[b], [b, b]]));
});

Deno.test("a failed assertEquals shows both sides line by line, and the message", () => {
  const lines = failure(() => assertEquals({ a: 1, b: [2, 3] }, { a: 1, b: [2, 4] }, "why"))
    .split("\n").map((line) => line.replaceAll(" ", ""));
  for (const line of ["a:1,", "2,", "-3,", "+4,"]) {
    expect(lines.includes(line), `${line} in ${lines}`);
  }
  expect(lines[0]!.endsWith(":why"), lines[0]!);
});

Deno.test("a failed assertEquals of texts shows the lines that differ", () => {
  const text = failure(() => assertEquals("one\ntwo\nthree", "one\n2\nthree"));
  assertMatch(text, /^- .*two/m);
  assertMatch(text, /^\+ .*2/m);
  assertMatch(text, /^ .*three/m);
});

Deno.test("assertStrictEquals asks for the same object or value", () => {
  const object = { a: 1 };
  assertStrictEquals(object, object);
  assertStrictEquals(NaN, NaN);
  failure(() => assertStrictEquals({ a: 1 }, { a: 1 }));
  failure(() => assertStrictEquals(0, -0));
  assertStringIncludes(failure(() => assertStrictEquals(1, 2, "why")), "why");
  assertNotStrictEquals({ a: 1 }, { a: 1 });
  failure(() => assertNotStrictEquals(object, object, "why"));
});

Deno.test("assertStrictEquals narrows a type", () => {
  const value: unknown = "halt";
  assertStrictEquals(value, "halt" as const);
  const kind: "halt" = value;
  assertEquals(kind, "halt");
});

Deno.test("assertExists refuses null and undefined only, and narrows a type", () => {
  for (const value of [0, "", false, NaN]) assertExists(value);
  failure(() => assertExists(null));
  assertStringIncludes(failure(() => assertExists(undefined, "why")), "why");
  const value: string | null = ["text"].at(0) ?? null;
  assertExists(value);
  const text: string = value;
  assertEquals(text, "text");
});

Deno.test("the comparisons compare numbers, bigints and texts", () => {
  assertGreater(2, 1);
  assertGreaterOrEqual(2n, 2n);
  assertLess("a", "b");
  assertLessOrEqual(1, 1);
  failure(() => assertGreater(1, 1));
  failure(() => assertGreaterOrEqual(1, 2));
  failure(() => assertLess(1, 1));
  failure(() => assertLessOrEqual(2, 1));
  failure(() => assertLess(NaN, 1));
  for (const compare of [assertGreater, assertGreaterOrEqual]) {
    const text = failure(() => compare(1, 2));
    assertMatch(text, /1 .*>=? 2/);
    assertStringIncludes(failure(() => compare(1, 2, "why")), "why");
  }
});

Deno.test("assertMatch and assertNotMatch try a pattern", () => {
  assertMatch("gpa=0x1000", /0x[0-9a-f]+/);
  assertNotMatch("gpa", /0x/);
  assertStringIncludes(failure(() => assertMatch("gpa", /0x/, "why")), "why");
  failure(() => assertNotMatch("0x", /0x/));
});

Deno.test("assertStringIncludes looks for a text, and shows both when it is not there", () => {
  assertStringIncludes("abc", "bc");
  const text = failure(() => assertStringIncludes("abc", "bd", "why"));
  for (const part of ["abc", "bd", "why"]) expect(text.includes(part), text);
});

Deno.test("assertArrayIncludes looks for deep equals in any order", () => {
  assertArrayIncludes([{ a: 1 }, 2, 3], [3, { a: 1 }]);
  assertArrayIncludes(new Uint8Array([1, 2]), new Uint8Array([2]));
  assertArrayIncludes([NaN], [NaN]);
  assertArrayIncludes([1], []);
  failure(() => assertArrayIncludes([1], [2]));
  failure(() => assertArrayIncludes<unknown>([{ a: 1 }], [{ a: 2 }], "why"));
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

Deno.test("assertObjectMatch looks only at what is expected, deeply", () => {
  const outcome = { kind: "halt", exits: 3, io: { port: 1016n, size: 1 }, path: [{ a: 1, b: 2 }] };
  assertObjectMatch(outcome, { kind: "halt", io: { port: 1016n } });
  assertObjectMatch(outcome, { path: [{ a: 1 }] });
  assertObjectMatch(outcome, {});
  failure(() => assertObjectMatch(outcome, { kind: "fault" }));
  failure(() => assertObjectMatch(outcome, { missing: 1 }));
  failure(() => assertObjectMatch(outcome, { io: { port: 1017n } }));
  failure(() => assertObjectMatch(outcome, { path: [{ a: 1 }, { a: 2 }] }));
  failure(() => assertObjectMatch(outcome, { io: null }, "why"));
});

Deno.test("assertObjectMatch takes the start of an array, and ignores classes", () => {
  assertObjectMatch({ list: [1, 2, 3] }, { list: [1, 2] });
  assertObjectMatch({ point: new Point(1) }, { point: { x: 1 } });
  assertObjectMatch({ bytes: new Uint8Array([1]) }, { bytes: new Uint8Array([1]) });
  failure(() => assertObjectMatch({ point: new Point(1) }, { point: { x: 2 } }));
});

Deno.test("assertObjectMatch compares dates and patterns, and parts of sets and maps", () => {
  assertObjectMatch({ at: new Date(1), re: /a/ }, { at: new Date(1), re: /a/ });
  failure(() => assertObjectMatch({ at: new Date(1) }, { at: new Date(2) }));
  failure(() => assertObjectMatch({ re: /a/ }, { re: /b/ }));
  assertObjectMatch({ set: new Set([1, 2]) }, { set: new Set([1]) });
  failure(() => assertObjectMatch({ set: new Set([1]) }, { set: new Set([1, 2]) }));
  const map = new Map([["a", { x: 1, y: 2 }], ["b", { x: 3, y: 4 }]]);
  assertObjectMatch({ map }, { map: new Map([["a", { x: 1 }]]) });
  failure(() => assertObjectMatch({ map }, { map: new Map([["a", { x: 2 }]]) }));
});

Deno.test("assertObjectMatch matches an object that comes twice against both expectations", () => {
  const shared = { a: 1, b: 2 };
  assertObjectMatch({ one: shared, two: shared }, { one: { a: 1 }, two: { b: 2 } });
  const loop: Record<string, unknown> = { n: 1 };
  loop.self = loop;
  assertObjectMatch(loop, { self: { self: { n: 1 } } });
  failure(() => assertObjectMatch(loop, { self: { self: { n: 2 } } }));
});

Deno.test("assertIsError looks at class and message", () => {
  const error: unknown = new RangeError("GPA 0x1000 is outside RAM");
  assertIsError(error);
  assertIsError(error, RangeError);
  assertIsError(error, Error, "0x1000");
  assertIsError(error, RangeError, /0x[0-9]+/);
  failure(() => assertIsError("text"));
  failure(() => assertIsError(error, TypeError));
  failure(() => assertIsError(error, RangeError, "0x2000"));
  failure(() => assertIsError(error, RangeError, /0y/));
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
    throw new FaultError("GPA \x1b[31m0x1000\x1b[0m is bad");
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
  assertStringIncludes(failure(() => assertThrows(() => undefined, "why")), "why");
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

Deno.test("assertRejects fails when the promise is fulfilled, or there is none", async () => {
  await rejection(() => assertRejects(() => Promise.resolve(1)));
  const text = await rejection(() => assertRejects(() => Promise.resolve(1), "why"));
  assertStringIncludes(text, "why");
  const call = (): never => {
    throw new RangeError("thrown, not rejected");
  };
  await rejection(() => assertRejects(call));
  await rejection(() => assertRejects(call, RangeError));
  const noPromise = (() => 1) as unknown as () => Promise<unknown>;
  await rejection(() => assertRejects(noPromise));
});

Deno.test("fail and unreachable fail", () => {
  assertStringIncludes(failure(() => fail("why")), "why");
  failure(() => fail());
  assertStringIncludes(failure(() => unreachable("why")), "why");
  failure(() => unreachable());
});
