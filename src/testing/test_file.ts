/**
 * Reads test files in TOML: parses, checks against the schema, and decodes to tests.
 *
 * @module
 */

import { dirname, resolve } from "node:path";
import type { OutcomeKind } from "../machine/outcome.ts";
import { type Condition, parseCondition } from "./condition.ts";
import type { Bounds, ExitPattern, ExitRule } from "./exit_rule.ts";
import {
  combinationCount,
  combinationName,
  combinations,
  MAX_COMBINATIONS,
  type Parameter,
} from "./matrix.ts";
import { inOrder, type Problem, TestFileError } from "./position.ts";
import { testFileSchema, testOptions } from "./schema.ts";
import {
  type Expectations,
  type FaultExpectation,
  MAX_OUTPUT_BYTES,
  type OutputExpectation,
  type RunDialect,
  type TestCase,
} from "./test_case.ts";
import { pointerTo, readToml, type TomlFile } from "./toml.ts";
import { compileValidator } from "./validate.ts";

/** The default time limit of a test. */
export const DEFAULT_TIMEOUT_MS = 60_000;

/** Reads test files. */
export type TestFileReader = (path: string, text: string) => Promise<TestCase[]>;

type Bound = number | { readonly min?: number; readonly max?: number };
type Texts = string | readonly string[];
type RawPattern = {
  readonly reason?: string;
  readonly port?: number | string;
  readonly gpa?: number | string;
  readonly direction?: string;
};
type RawStep = string | RawPattern;
type RawRule = RawPattern & {
  readonly count?: number;
  readonly min?: number;
  readonly max?: number;
  readonly sequence?: readonly RawStep[];
  readonly consecutive?: readonly RawStep[];
};

/** A test that fits the schema. */
interface RawTest {
  readonly name: string;
  readonly image: string;
  readonly stdin?: string;
  readonly tags?: readonly string[];
  readonly retry?: number;
  readonly skip_if?: Texts;
  readonly only_if?: Texts;
  readonly matrix?: Readonly<Record<string, readonly Parameter[]>>;
  readonly exit?: number | OutcomeKind;
  readonly stdout?: string | {
    readonly exact?: string;
    readonly golden?: string;
    readonly contains?: Texts;
    readonly regex?: Texts;
    readonly in_order?: Texts;
    readonly never?: Texts;
  };
  readonly exits?: Readonly<Record<string, Bound>> | readonly RawRule[];
  readonly fault?: { readonly gpa?: number | string; readonly access?: string };
  readonly within?: string;
  readonly max_exits?: number;
  readonly max_output?: number;
  readonly [option: string]: unknown;
}

/**
 * Makes a reader of test files.
 *
 * @param dialect the command line that the tests may use
 * @returns a function that throws {@linkcode TestFileError} for a file with problems
 */
export function testFileReader(dialect: RunDialect): TestFileReader {
  const validate = compileValidator(testFileSchema(dialect.options));
  return async (path, text) => {
    const file = readToml(path, text);
    const problems = await validate(path, file);
    if (problems.length > 0) throw new TestFileError(problems);
    const decoder = new Decoder(path, file, dialect);
    const tests = (file.value.test as RawTest[]).flatMap((raw, i) =>
      decoder.test(raw, pointerTo("/test", i))
    );
    await decoder.checkOptions();
    if (decoder.problems.length > 0) throw new TestFileError(inOrder(decoder.problems));
    return tests;
  };
}

/** Decodes tests that fit the schema, and notes problems that the schema cannot express. */
class Decoder {
  readonly problems: Problem[] = [];
  readonly #names = new Set<string>();
  readonly #path: string;
  readonly #file: TomlFile;
  readonly #dialect: RunDialect;
  readonly #toCheck: {
    readonly raw: RawTest;
    readonly parameters: Readonly<Record<string, Parameter>>;
    readonly pointer: string;
  }[] = [];

  constructor(path: string, file: TomlFile, dialect: RunDialect) {
    this.#path = path;
    this.#file = file;
    this.#dialect = dialect;
  }

  test(raw: RawTest, pointer: string): TestCase[] {
    const folder = dirname(resolve(this.#path));
    if (this.#names.has(raw.name)) {
      this.#problem(`${pointer}/name`, `another test of this file is called "${raw.name}"`);
    }
    this.#names.add(raw.name);
    const matrix = raw.matrix ?? {};
    if (combinationCount(matrix) > MAX_COMBINATIONS) {
      this.#problem(
        `${pointer}/matrix`,
        `the matrix has ${combinationCount(matrix)} combinations, and ${MAX_COMBINATIONS} are ` +
          "the most",
      );
      return [];
    }
    for (const name of Object.keys(matrix)) {
      if (name !== "image" && name in raw) {
        this.#problem(`${pointer}/matrix/${name}`, `${name} has a value outside the matrix too`);
      }
    }
    const expect = this.#expectations(raw, pointer, folder);
    const common = {
      file: this.#path,
      line: this.#file.locate(pointer).line,
      folder,
      ...(raw.stdin === undefined ? {} : { stdin: raw.stdin }),
      tags: raw.tags ?? [],
      retry: raw.retry ?? 0,
      maxOutputBytes: raw.max_output ?? MAX_OUTPUT_BYTES,
      skipIf: this.#conditions(raw.skip_if, `${pointer}/skip_if`),
      onlyIf: this.#conditions(raw.only_if, `${pointer}/only_if`),
      judge: { by: "expectations", expect } as const,
      untranslated: [],
    };
    return combinations(matrix).map((parameters) => {
      const values = { ...raw, ...parameters };
      const ownTrace = values["trace-file"] !== undefined || values.format === "text";
      if (ownTrace) this.#refuseBlindness(raw, pointer);
      const { trace } = values;
      this.#toCheck.push({ raw, parameters, pointer });
      return {
        ...common,
        name: raw.name + combinationName(parameters),
        image: String(values.image),
        options: this.#options(values, ownTrace),
        ...(ownTrace || trace === undefined || trace === "none" ? {} : { trace: String(trace) }),
        ownTrace,
        timeoutMs: this.#timeout(values.timeout, `${pointer}/timeout`),
      };
    });
  }

  /** Checks the options of all tests: each value by itself, then all of a test together. */
  async checkOptions(): Promise<void> {
    const seen = new Map<string, boolean>();
    for (const { raw, parameters, pointer } of this.#toCheck) {
      const options = this.#givenOptions(raw, parameters, pointer);
      const memory = options.filter(({ name }) => name === "memory").map(({ text }) => text);
      let isGood = true;
      for (const { name, text, at } of options) {
        const key = `${at} ${text} ${memory}`;
        if (!seen.has(key)) {
          const args = name === "memory" ? [text] : [...memory, text];
          const problem = await this.#dialect.problem(args);
          const isOwn = problem?.option === name;
          if (isOwn) this.#problem(at, `${name}: ${problem.message}`);
          seen.set(key, !isOwn);
        }
        isGood &&= seen.get(key)!;
      }
      if (!isGood || options.length < 2) continue;
      const problem = await this.#dialect.problem(options.map(({ text }) => text));
      if (!problem) continue;
      const { option, message } = problem;
      const at = option === undefined ? pointer : `${pointer}/${option}`;
      this.#problem(at, option === undefined ? message : `${option}: ${message}`);
    }
  }

  /** The options of a combination, each with its value's place. */
  #givenOptions(
    raw: RawTest,
    parameters: Readonly<Record<string, Parameter>>,
    pointer: string,
  ): { name: string; text: string; at: string }[] {
    return testOptions(this.#dialect.options).flatMap(({ name, value }) => {
      if (value === undefined || name === "timeout") return [];
      if (name in parameters) {
        const index = raw.matrix![name]!.indexOf(parameters[name]!);
        const at = `${pointer}/matrix/${name}/${index}`;
        return [{ name, text: `--${name}=${parameters[name]}`, at }];
      }
      const given = raw[name];
      if (!Array.isArray(given)) {
        return given === undefined
          ? []
          : [{ name, text: `--${name}=${given}`, at: `${pointer}/${name}` }];
      }
      return given.map((each, i) => ({
        name,
        text: `--${name}=${each}`,
        at: `${pointer}/${name}/${i}`,
      }));
    });
  }

  /** The options, without those that the runner sets itself. */
  #options(values: Readonly<Record<string, unknown>>, ownTrace: boolean): string[] {
    const others = ownTrace ? ["timeout"] : ["timeout", "trace", "quiet", "format"];
    return testOptions(this.#dialect.options).flatMap(({ name, value }) => {
      const given = values[name];
      if (given === undefined || others.includes(name)) return [];
      if (value === undefined) return given === true ? [`--${name}`] : [];
      return [given].flat().map((each) => `--${name}=${each}`);
    });
  }

  #timeout(value: unknown, pointer: string): number {
    if (value === undefined) return DEFAULT_TIMEOUT_MS;
    return this.#duration(String(value), pointer);
  }

  #duration(text: string, pointer: string): number {
    try {
      return this.#dialect.duration(text);
    } catch {
      this.#problem(pointer, `"${text}" is not a duration; write it as 500ms, 5s or 2m`);
      return DEFAULT_TIMEOUT_MS;
    }
  }

  /** Expectations of the trace cannot be judged when it goes elsewhere. */
  #refuseBlindness(raw: RawTest, pointer: string): void {
    const keys = ["exits", "fault", "within", "max_exits"].filter((key) => key in raw);
    if (typeof raw.exit === "string") keys.push("exit");
    for (const key of keys) {
      this.#problem(
        `${pointer}/${key}`,
        `${key} is judged by the trace, which trace-file or format redirects; remove one of them`,
      );
    }
  }

  #expectations(raw: RawTest, pointer: string, folder: string): Expectations {
    const { stdout, exits = {}, fault, within, max_exits: maxExits } = raw;
    return {
      exit: raw.exit ?? (fault ? "memory_fault" : 0),
      ...(stdout === undefined ? {} : { stdout: this.#output(stdout, pointer, folder) }),
      exits: Array.isArray(exits)
        ? exits.map((rule, i) => this.#rule(rule, `${pointer}/exits/${i}`))
        : Object.entries(exits as Record<string, Bound>).map(([reason, bound]) =>
          this.#count({ reason }, bound, `${pointer}/exits/${reason}`)
        ),
      ...(fault === undefined ? {} : { fault: this.#fault(fault, pointer) }),
      ...(within === undefined ? {} : { withinMs: this.#duration(within, `${pointer}/within`) }),
      ...(maxExits === undefined ? {} : { maxExits }),
    };
  }

  #fault(
    { gpa, access }: NonNullable<RawTest["fault"]>,
    pointer: string,
  ): FaultExpectation {
    const range = gpa === undefined ? undefined : this.#range(gpa, `${pointer}/fault/gpa`);
    if (range && range[0] !== range[1]) this.#problem(`${pointer}/fault/gpa`, "gpa is one address");
    return {
      ...(range ? { gpa: range[0] } : {}),
      ...(access === undefined ? {} : { access }),
    };
  }

  #output(
    stdout: NonNullable<RawTest["stdout"]>,
    pointer: string,
    folder: string,
  ): OutputExpectation {
    const raw = typeof stdout === "string" ? { exact: stdout } : stdout;
    if (raw.exact !== undefined && raw.golden !== undefined) {
      this.#problem(`${pointer}/stdout/golden`, "stdout has exact, too; use one of them");
    }
    return {
      ...(raw.exact === undefined ? {} : { exact: raw.exact }),
      ...(raw.golden === undefined ? {} : { golden: resolve(folder, raw.golden) }),
      contains: texts(raw.contains),
      regex: texts(raw.regex).flatMap((text) => this.#regex(text, `${pointer}/stdout/regex`)),
      inOrder: texts(raw.in_order),
      never: texts(raw.never),
    };
  }

  #regex(text: string, pointer: string): RegExp[] {
    try {
      return [new RegExp(text, "m")];
    } catch (error) {
      this.#problem(pointer, (error as Error).message);
      return [];
    }
  }

  #rule(raw: RawRule, pointer: string): ExitRule {
    const { count, min, max, sequence, consecutive, ...pattern } = raw;
    const steps = sequence ?? consecutive;
    if (!steps) {
      if (count !== undefined && (min !== undefined || max !== undefined)) {
        this.#problem(pointer, "count excludes min and max");
      }
      const bound = count ?? (min === undefined && max === undefined ? { min: 1 } : {
        ...(min === undefined ? {} : { min }),
        ...(max === undefined ? {} : { max }),
      });
      return this.#count(pattern, bound, pointer);
    }
    if (Object.keys(raw).length > 1) {
      this.#problem(pointer, "a sequence takes no other keys; put them into its steps");
    }
    return {
      kind: "sequence",
      consecutive: sequence === undefined,
      steps: steps.map((step, i) =>
        this.#pattern(
          typeof step === "string" ? { reason: step } : step,
          `${pointer}/${sequence ? "sequence" : "consecutive"}/${i}`,
        )
      ),
    };
  }

  #count(pattern: RawPattern, bound: Bound, pointer: string): ExitRule {
    const bounds: Bounds = typeof bound === "number"
      ? { min: bound, max: bound }
      : { min: bound.min ?? 0, max: bound.max ?? Infinity };
    if (bounds.min > bounds.max) {
      this.#problem(pointer, `min is ${bounds.min}, more than max, ${bounds.max}`);
    }
    return { kind: "count", pattern: this.#pattern(pattern, pointer), bounds };
  }

  #pattern({ reason, port, gpa, direction }: RawPattern, pointer: string): ExitPattern {
    return {
      ...(reason === undefined ? {} : { reason }),
      ...(port === undefined ? {} : { ports: this.#range(port, `${pointer}/port`) }),
      ...(gpa === undefined ? {} : { gpas: this.#range(gpa, `${pointer}/gpa`) }),
      ...(direction === undefined ? {} : { direction }),
    };
  }

  #range(value: number | string, pointer: string): [bigint, bigint] {
    if (typeof value === "number" && !Number.isSafeInteger(value)) {
      this.#problem(pointer, `write so large a number as a string: "0x..."`);
      return [0n, 0n];
    }
    const [first, last] = String(value).split("-").map((part) => BigInt(part.trim()));
    if (last !== undefined && last < first!) {
      this.#problem(pointer, "the range ends before it begins");
    }
    return [first!, last ?? first!];
  }

  #conditions(given: Texts | undefined, pointer: string): Condition[] {
    return texts(given).flatMap((text, i) => {
      const condition = parseCondition(text);
      if (condition) return [condition];
      const at = typeof given === "string" ? pointer : `${pointer}/${i}`;
      this.#problem(at, `"${text}" is not a capability; vmexit doctor lists them`);
      return [];
    });
  }

  #problem(pointer: string, message: string): void {
    this.problems.push({ path: this.#path, at: this.#file.locate(pointer), message });
  }
}

function texts(given: Texts | undefined): readonly string[] {
  return given === undefined ? [] : typeof given === "string" ? [given] : given;
}
