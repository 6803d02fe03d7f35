/**
 * Runs the command line as a process, as its users do.
 *
 * @module
 */

import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The project's folder, with `/` at its end. */
export const PROJECT: string = fileURLToPath(new URL("../../", import.meta.url));

/** The launcher, or the executable that `VMEXIT_UNDER_TEST` names. */
export const VMEXIT: string = resolve(Deno.env.get("VMEXIT_UNDER_TEST") ?? PROJECT + "vmexit");

/** What a process did. */
export interface Result {
  readonly code: number;
  readonly stdout: string;
  /** Stdout, where it is not text. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly stderr: string;
  /** The lines of stderr, without their ends. */
  readonly lines: string[];
}

/** How a process is started. */
export interface ProcessOptions {
  /** Added to the environment. */
  readonly env?: Record<string, string>;
}

/** The path of a built image. */
export function image(name: string): string {
  return `${PROJECT}images/${name}`;
}

/** Runs a program to its end. */
export async function execute(
  program: string,
  args: readonly string[],
  options: ProcessOptions = {},
): Promise<Result> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    cwd: PROJECT,
    stdin: "null",
    env: options.env ?? {},
  }).output();
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  return {
    code,
    stdout: text(stdout),
    bytes: stdout,
    stderr: text(stderr),
    lines: linesOf(text(stderr)),
  };
}

/** Runs `./vmexit` with these arguments, in the project's folder. */
export function vmexit(...args: string[]): Promise<Result> {
  return execute(VMEXIT, args);
}

/** Runs a line of bash, in which `vmexit` is a command and `$1`, `$2`, … are the arguments. */
export function bash(script: string, ...args: string[]): Promise<Result> {
  const line = `vmexit() { "$VMEXIT" "$@"; }; ${script}`;
  return execute("bash", ["-c", line, "bash", ...args], { env: { VMEXIT } });
}

/**
 * Runs `./vmexit` with a part of root's rights: a file whose mode forbids it is
 * out of reach, as it is for any other user. Only root can give rights up.
 */
export function withoutPrivilege(...args: string[]): Promise<Result> {
  return execute("setpriv", [
    "--bounding-set=-dac_override,-dac_read_search",
    "--inh-caps=-all",
    VMEXIT,
    ...args,
  ]);
}

/** The lines of a text that ends with a line's end. */
export function linesOf(text: string): string[] {
  return text === "" ? [] : text.replace(/\n$/, "").split("\n");
}

/** The last line of stderr: how the run ended. */
export function lastLine({ lines }: Result): string {
  return lines.at(-1) ?? "";
}

/** A folder that is gone at the end of the test. */
export class TempDir implements Disposable {
  readonly path: string = Deno.makeTempDirSync({ prefix: "vmexit-" });

  /** Writes a file. @returns its path */
  file(name: string, content: string | Uint8Array = ""): string {
    const path = `${this.path}/${name}`;
    if (typeof content === "string") Deno.writeTextFileSync(path, content);
    else Deno.writeFileSync(path, content);
    return path;
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}
