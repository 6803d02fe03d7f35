/**
 * A test, from a TOML file or from unittests.cfg.
 *
 * @module
 */

import type { OutcomeKind } from "../machine/outcome.ts";
import type { Condition } from "./condition.ts";
import type { ExitRule } from "./exit_rule.ts";

/** What a test expects of the output. */
export interface OutputExpectation {
  /** The whole output. */
  readonly exact?: string;
  /** The path of a file with the whole output. */
  readonly golden?: string;
  /** Texts that it contains. */
  readonly contains: readonly string[];
  /** Patterns that match in it. */
  readonly regex: readonly RegExp[];
  /** Texts that follow one another. */
  readonly inOrder: readonly string[];
  /** Texts that it does not contain. */
  readonly never: readonly string[];
}

/** The memory fault that must end the run. */
export interface FaultExpectation {
  readonly gpa?: bigint;
  readonly access?: string;
}

/** All that a test expects. */
export interface Expectations {
  /** The process's exit code, or how the run ended. */
  readonly exit: number | OutcomeKind;
  readonly stdout?: OutputExpectation;
  readonly exits: readonly ExitRule[];
  readonly fault?: FaultExpectation;
  /** Milliseconds from the guest's first entry to its end. */
  readonly withinMs?: number;
  /** Exits, at most. */
  readonly maxExits?: number;
}

/** The default limit of output. */
export const MAX_OUTPUT_BYTES: number = 4 << 20;

/** One test: one run of one guest. */
export interface TestCase {
  /** Its name, with its place in a matrix: `hello [cpus=2]`. */
  readonly name: string;
  /** The file, as it was named, and the line there. */
  readonly file: string;
  readonly line: number;
  /** The working directory: the folder of the file. */
  readonly folder: string;
  readonly image: string;
  /** Options of `vmexit run`: `--memory=16M`. */
  readonly options: readonly string[];
  /** A trace specification, in addition to what the expectations need. */
  readonly trace?: string;
  /** Whether the test redirects the trace, so that it cannot be judged. */
  readonly ownTrace: boolean;
  /** Milliseconds until the guest is stopped. */
  readonly timeoutMs: number;
  /** Bytes of output after which the guest is killed. */
  readonly maxOutputBytes: number;
  /** Standard input, empty by default. */
  readonly stdin?: string;
  readonly tags: readonly string[];
  /** How often a failure is retried. */
  readonly retry: number;
  readonly skipIf: readonly Condition[];
  readonly onlyIf: readonly Condition[];
  /** What decides: the expectations, or the exit codes of the x86 KVM unit tests. */
  readonly judge: { readonly by: "expectations"; readonly expect: Expectations } | {
    readonly by: "kvm-unit-tests";
  };
  /** Why it is skipped, where that is known already. */
  readonly skip?: string;
  /** Options of the file without an equivalent. */
  readonly untranslated: readonly string[];
}

/** An option of `vmexit run`, as the command line's table has it. */
export interface RunOption {
  /** The long name, without dashes. */
  readonly name: string;
  /** The name of its value; an option without one is a flag. */
  readonly value?: string;
  /** May be given several times. */
  readonly repeat?: boolean;
  readonly help: string;
}

/** What is wrong with options. */
export interface OptionProblem {
  /** Which of them it is, where that is known. */
  readonly option: string | undefined;
  readonly message: string;
}

/** What a test file may use of the command line. */
export interface RunDialect {
  readonly options: readonly RunOption[];
  /** Milliseconds of a duration such as `500ms`. @throws {Error} */
  duration(text: string): number;
  /** What is wrong with options, given as `--name=value`. */
  problem(options: readonly string[]): Promise<OptionProblem | undefined>;
}
