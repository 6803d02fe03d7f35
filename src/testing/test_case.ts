/**
 * What a test is, whichever file it comes from.
 *
 * @module
 */

import type { OutcomeKind } from "../machine/outcome.ts";
import type { Condition } from "./condition.ts";
import type { ExitRule } from "./exit_rule.ts";

/** What a guest's output has to be. */
export interface OutputExpectation {
  /** The whole output. */
  readonly exact?: string;
  /** A file with the whole output: its path as it is opened. */
  readonly golden?: string;
  /** Texts that are somewhere in it. */
  readonly contains: readonly string[];
  /** Patterns that match somewhere in it. */
  readonly regex: readonly RegExp[];
  /** Texts that come one behind the other. */
  readonly inOrder: readonly string[];
  /** Texts that are nowhere in it. */
  readonly never: readonly string[];
}

/** The memory fault that has to end the run. */
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

/** How much output a test lets through that does not say. */
export const MAX_OUTPUT_BYTES: number = 4 << 20;

/** One test: one run of one guest. */
export interface TestCase {
  /** Its name, with its place in a matrix: `hello [cpus=2]`. */
  readonly name: string;
  /** The file that it stands in, as it was named, and the line there. */
  readonly file: string;
  readonly line: number;
  /** Where the process runs: the folder of the file, which relative paths start from. */
  readonly folder: string;
  readonly image: string;
  /** Options of `vmexit run`: `--memory=16M`. */
  readonly options: readonly string[];
  /** Exit reasons, or a whole specification, to be traced besides what is expected of exits. */
  readonly trace?: string;
  /** Whether the test puts the trace where it cannot be judged. */
  readonly ownTrace: boolean;
  /** Milliseconds until the guest is ended: `--timeout`. */
  readonly timeoutMs: number;
  /** Bytes of output after which the guest is ended. */
  readonly maxOutputBytes: number;
  /** Standard input; nothing where it is absent. */
  readonly stdin?: string;
  readonly tags: readonly string[];
  /** How often a failure is tried again. */
  readonly retry: number;
  readonly skipIf: readonly Condition[];
  readonly onlyIf: readonly Condition[];
  /** What decides: the expectations, or the exit code's meaning in the x86 KVM unit tests. */
  readonly judge: { readonly by: "expectations"; readonly expect: Expectations } | {
    readonly by: "kvm-unit-tests";
  };
  /** Why it cannot be run, where that is known already. */
  readonly skip?: string;
  /** What the file asks for and has no equivalent here. */
  readonly untranslated: readonly string[];
}

/** An option of `vmexit run`, as the command line's table has it. */
export interface RunOption {
  /** The long name, without dashes. */
  readonly name: string;
  /** What its value is called; an option without one is a flag. */
  readonly value?: string;
  /** May be given several times. */
  readonly repeat?: boolean;
  readonly help: string;
}

/** What a test file may use of the command line. */
export interface RunDialect {
  readonly options: readonly RunOption[];
  /** Milliseconds of a duration such as `500ms`. @throws {Error} */
  duration(text: string): number;
}
