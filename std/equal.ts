/**
 * Deep equality with the rules of `equal` of `@std/assert`.
 *
 * Node's `isDeepStrictEqual` is close but tells `0` from `-0` and an object without a prototype
 * from a plain one, and does not look at accessors of classes; those differences decide whether a
 * test passes, so the comparison is made here.
 *
 * @module
 */

import { types } from "node:util";

/** Classes whose instances are equal when their string forms are. */
const COMPARED_AS_TEXT: ReadonlySet<unknown> = new Set<unknown>([
  RegExp.prototype,
  URL.prototype,
  URLSearchParams.prototype,
  Intl.Locale.prototype,
]);

/** Same value, where `0` and `-0` are one value and so are all `NaN`s. */
function sameValue(a: unknown, b: unknown): boolean {
  return a === b || (a !== a && b !== b);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** The prototype, where an object made without one counts as a plain object. */
function kindOf(value: object): unknown {
  return Object.getPrototypeOf(value) ?? Object.prototype;
}

/** All property keys that an instance answers to: its own and its classes'. */
function reachableKeys(value: object): Set<PropertyKey> {
  const keys = new Set<PropertyKey>();
  for (
    let level: object | null = value;
    level !== null && level !== Object.prototype;
    level = Object.getPrototypeOf(level)
  ) {
    for (const key of Reflect.ownKeys(level)) keys.add(key);
  }
  return keys;
}

function enumerableKeys(value: object): Set<PropertyKey> {
  const isEnumerable = (key: PropertyKey): boolean =>
    Object.prototype.propertyIsEnumerable.call(value, key);
  return new Set(Reflect.ownKeys(value).filter(isEnumerable));
}

/** One comparison; it remembers the pairs under way, so that cycles end. */
class Comparison {
  readonly #underWay = new Map<object, Set<object>>();

  same(a: unknown, b: unknown): boolean {
    if (sameValue(a, b)) return true;
    if (!isObject(a) || !isObject(b)) return false;
    if (a instanceof Date && b instanceof Date) return sameValue(a.getTime(), b.getTime());
    if (kindOf(a) !== kindOf(b)) return false;
    if (types.isTypedArray(a)) return this.#sameElements(a, b as typeof a);
    if (types.isAnyArrayBuffer(a)) {
      return this.#sameElements(new Uint8Array(a), new Uint8Array(b as typeof a));
    }
    if (types.isWeakMap(a) || types.isWeakSet(a)) {
      throw new TypeError(`The contents of a ${a.constructor.name} are not comparable`);
    }
    if (a instanceof WeakRef) return this.same(a.deref(), (b as typeof a).deref());
    const partners = this.#underWay.get(a) ?? new Set();
    if (partners.has(b)) return true;
    this.#underWay.set(a, partners.add(b));
    const isSame = this.#sameContents(a, b);
    // Met again, two that differ must not be taken for a cycle.
    if (!isSame) partners.delete(b);
    return isSame;
  }

  #sameContents(a: object, b: object): boolean {
    if (Object.keys(a).length !== Object.keys(b).length) return false;
    if (a instanceof Set) return this.#sameSet(a, b as typeof a);
    if (a instanceof Map) return this.#sameMap(a, b as typeof a);
    if (COMPARED_AS_TEXT.has(kindOf(a))) return String(a) === String(b);
    return this.#sameProperties(a, b);
  }

  #sameElements(a: NodeJS.TypedArray, b: NodeJS.TypedArray): boolean {
    return a.length === b.length &&
      a.every((element: unknown, i: number) => sameValue(element, b[i]));
  }

  #sameSet(a: ReadonlySet<unknown>, b: ReadonlySet<unknown>): boolean {
    return a.size === b.size &&
      [...a].every((item) => b.has(item) || [...b].some((other) => this.same(item, other)));
  }

  #sameMap(a: ReadonlyMap<unknown, unknown>, b: ReadonlyMap<unknown, unknown>): boolean {
    return a.size === b.size &&
      [...a].every(([key, value]) =>
        (b.has(key) && this.same(value, b.get(key))) ||
        [...b].some(([k, v]) => this.same(key, k) && this.same(value, v))
      );
  }

  #sameProperties(a: object, b: object): boolean {
    const keys = kindOf(a) === Object.prototype || Array.isArray(a)
      ? enumerableKeys
      : reachableKeys;
    for (const key of keys(a).union(keys(b))) {
      if (!(key in a) || !(key in b)) return false;
      if (!this.same(Reflect.get(a, key), Reflect.get(b, key))) return false;
    }
    return true;
  }
}

/**
 * Tells whether two values are deeply equal.
 *
 * @param a one value
 * @param b the other
 * @returns whether they are equal
 * @throws {TypeError} on a `WeakMap` or `WeakSet`, whose contents cannot be listed
 *
 * @example
 * ```ts
 * import { assert, equal } from "@std/assert";
 *
 * assert(equal({ size: 4096n }, { size: 4096n }));
 * ```
 */
export function equal(a: unknown, b: unknown): boolean {
  return new Comparison().same(a, b);
}
