/**
 * Reads the list of the x86 KVM unit tests, `unittests.cfg`: sections of `key = value` lines become
 * tests.
 *
 * @module
 */

import { dirname, resolve } from "node:path";
import type { HostFiles } from "../host/facts.ts";
import { type Problem, TestFileError } from "./position.ts";
import { translateQemuOptions } from "./qemu_options.ts";
import { words } from "./shell.ts";
import { MAX_OUTPUT_BYTES, type RunDialect, type TestCase } from "./test_case.ts";

/** The default of the suite's own runner. */
const DEFAULT_TIMEOUT_MS = 90_000;
const ARCHITECTURE = "x86_64";
/** Keys with QEMU options. */
const PARAMETER_KEYS = ["extra_params", "qemu_params"];
const KEYS = [
  ...PARAMETER_KEYS,
  "file",
  "smp",
  "test_args",
  "timeout",
  "groups",
  "accel",
  "arch",
  "check",
  "machine",
  "disabled_if",
  "kvmtool_params",
];

/** How sections become tests. */
export interface CfgOptions {
  readonly dialect: RunDialect;
  /** For `check` lines. */
  readonly files: HostFiles;
  /** Groups that the user asked for: `nodefault` ones run only then. */
  readonly tags: readonly string[];
  /** Seconds since 1970, for arguments that ask for it. */
  readonly now: number;
}

interface Section {
  readonly name: string;
  readonly line: number;
  readonly values: Map<string, { readonly text: string; readonly line: number }>;
}

/**
 * Reads a list of unit tests.
 *
 * @param path of the list; the images are beside it
 * @throws {TestFileError}
 */
export function readUnitTests(path: string, text: string, options: CfgOptions): TestCase[] {
  return readSections(path, text).map((section) =>
    new SectionReader(path, section, options).test()
  );
}

function readSections(path: string, text: string): Section[] {
  const sections: Section[] = [];
  const problems: Problem[] = [];
  const lines = text.split(/\r?\n/);
  for (let i = 0; i < lines.length; i++) {
    const content = withoutComment(lines[i]!).trim();
    const number = i + 1;
    const problem = (message: string): void => {
      const column = lines[number - 1]!.search(/\S/) + 1;
      problems.push({ path, at: { line: number, column }, message });
    };
    if (content === "") continue;
    const name = /^\[(.+)\]$/.exec(content)?.[1];
    if (name !== undefined) {
      sections.push({ name, line: number, values: new Map() });
      continue;
    }
    const [, key, value] = /^(\w+)\s*=\s*(.*)$/.exec(content) ?? [];
    const section = sections.at(-1);
    if (key === undefined || !section) {
      problem(
        section ? `this is neither a [name] nor a key = value` : "a [name] has to come first",
      );
      continue;
    }
    let whole = value!;
    if (whole.startsWith('"""')) {
      // Continues to the closing """; a backslash joins lines.
      const parts = [whole.slice(3)];
      while (!parts.at(-1)!.trimEnd().endsWith('"""') && i + 1 < lines.length) {
        parts.push(lines[++i]!.replace(/"""\s*#.*$/, '"""'));
      }
      if (!parts.at(-1)!.trimEnd().endsWith('"""')) problem('the """ is not closed');
      whole = parts.join("\n").replace(/\\\n/g, "").trimEnd().replace(/"""$/, "");
    }
    section.values.set(key, { text: whole, line: number });
  }
  if (sections.length === 0 && problems.length === 0) {
    problems.push({ path, at: { line: 1, column: 1 }, message: "it has no tests" });
  }
  for (const { name, line, values } of sections) {
    if (!values.has("file")) {
      problems.push({ path, at: { line, column: 1 }, message: `[${name}] names no file` });
    }
  }
  if (problems.length > 0) throw new TestFileError(problems);
  return sections;
}

/** A line up to a `#` that begins a word outside of quotes. */
function withoutComment(line: string): string {
  let quote = "";
  for (let i = 0; i < line.length; i++) {
    const char = line[i]!;
    if (quote === "" && char === "#" && (i === 0 || /\s/.test(line[i - 1]!))) {
      return line.slice(0, i);
    }
    if (char === quote) quote = "";
    else if (quote === "" && /["'`]/.test(char)) quote = char;
  }
  return line;
}

/** Whether `kvm` is what an `accel` line asks for: a regular expression for the whole name. */
function takesKvm(accel: string): boolean {
  try {
    return new RegExp(`^(?:${accel})$`).test("kvm");
  } catch {
    return false;
  }
}

class SectionReader {
  readonly #path: string;
  readonly #section: Section;
  readonly #options: CfgOptions;
  readonly #untranslated: string[] = [];

  constructor(path: string, section: Section, options: CfgOptions) {
    this.#path = path;
    this.#section = section;
    this.#options = options;
  }

  test(): TestCase {
    const { name, line, values } = this.#section;
    const folder = dirname(resolve(this.#path));
    const file = this.#value("file")!;
    const groups = words(this.#value("groups") ?? "");
    for (const key of values.keys()) {
      if (!KEYS.includes(key) || key === "disabled_if") this.#note(key);
    }
    const parameters = PARAMETER_KEYS.map((key) => this.#value(key) ?? "").join(" ");
    const { args, options, untranslated } = translateQemuOptions(
      this.#split(parameters),
      this.#options.dialect.options.map((option) => option.name),
    );
    this.#untranslated.push(...untranslated);
    // The program's name, which the suite's guests expect first, comes with the image.
    const append = [...args, ...this.#split(this.#value("test_args") ?? "")].join(" ");
    const skip = this.#skipReason(folder, file, groups);
    return {
      name,
      file: this.#path,
      line,
      folder,
      image: file,
      options: [...this.#cpus(options), ...(append === "" ? [] : [`--append=${append}`])],
      ownTrace: false,
      timeoutMs: this.#timeout(),
      tags: groups,
      retry: 0,
      maxOutputBytes: MAX_OUTPUT_BYTES,
      skipIf: [],
      onlyIf: [],
      judge: { by: "kvm-unit-tests" },
      ...(skip === undefined ? {} : { skip }),
      untranslated: this.#untranslated,
    };
  }

  #value(key: string): string | undefined {
    return this.#section.values.get(key)?.text;
  }

  #note(key: string): void {
    this.#untranslated.push(`${key} = ${this.#value(key)}`);
  }

  /** A line's words as a shell splits them. Of commands, only the time is known. */
  #split(text: string): string[] {
    const known = text.replaceAll(/`date \+%s`/g, String(this.#options.now));
    for (const [command] of known.matchAll(/`[^`]*`|\$\([^)]*\)/g)) {
      this.#untranslated.push(command);
    }
    return words(known);
  }

  #cpus(options: readonly string[]): string[] {
    const text = this.#value("smp");
    const count = /^\d+/.exec(text ?? "1")?.[0];
    if (text !== undefined && count !== text.trim()) this.#note("smp");
    const rest = options.filter((option) => !option.startsWith("--cpus="));
    const given = options.find((option) => option.startsWith("--cpus="));
    if (given !== undefined) return [...rest, given];
    return count === undefined || count === "1" ? rest : [...rest, `--cpus=${count}`];
  }

  #timeout(): number {
    const text = this.#value("timeout");
    if (text === undefined) return DEFAULT_TIMEOUT_MS;
    const [, number, unit = "s"] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text.trim()) ?? [];
    if (number !== undefined && Number(number) > 0) {
      return this.#options.dialect.duration(number + unit);
    }
    this.#note("timeout");
    return DEFAULT_TIMEOUT_MS;
  }

  #skipReason(folder: string, file: string, groups: readonly string[]): string | undefined {
    const { files, tags } = this.#options;
    if (groups.includes("nodefault") && !groups.some((group) => tags.includes(group))) {
      return `marked nodefault: runs only when asked for by the tag ${
        groups.find((group) => group !== "nodefault") ?? "nodefault"
      }`;
    }
    const arch = this.#value("arch");
    if (arch !== undefined && !words(arch.replaceAll("|", " ")).includes(ARCHITECTURE)) {
      return `${arch} only`;
    }
    const accel = this.#value("accel");
    if (accel !== undefined && !takesKvm(accel)) return `accel ${accel} only`;
    for (const check of words(this.#value("check") ?? "")) {
      const [path, wanted] = splitOnce(check, "=");
      if (readOrNothing(files, path) !== wanted) return `${path} is not ${wanted}`;
    }
    if (!isFile(resolve(folder, file))) return `${file} does not exist`;
    return undefined;
  }
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

function readOrNothing(files: HostFiles, path: string): string | undefined {
  try {
    return files.read(path).trim();
  } catch {
    return undefined;
  }
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
