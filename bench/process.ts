/**
 * Runs the programs that are measured.
 *
 * @module
 */

const ROOT = new URL("..", import.meta.url).pathname;

/** The launcher. */
export const VMEXIT: string = `${ROOT}vmexit`;

/** A file of the project. @param path relative to its root */
export function projectFile(path: string): string {
  return ROOT + path;
}

/**
 * Runs a program to its end.
 *
 * @param folder where it runs, if that matters
 * @returns its output
 * @throws {Error} when it fails
 */
export async function output(
  program: string,
  args: readonly string[],
  folder?: string,
): Promise<string> {
  const { success, code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    ...(folder === undefined ? {} : { cwd: folder }),
  }).output();
  if (!success) {
    const why = new TextDecoder().decode(stderr).trim();
    throw new Error(`${program} ${args.join(" ")} ended with ${code}: ${why}`);
  }
  return new TextDecoder().decode(stdout);
}

/** Runs a program and discards its output. @returns its wall time in milliseconds */
export async function wallTimeMs(program: string, args: readonly string[]): Promise<number> {
  const command = new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  });
  const start = performance.now();
  const { success, code } = await command.output();
  const elapsed = performance.now() - start;
  if (!success) throw new Error(`${program} ${args.join(" ")} ended with ${code}`);
  return elapsed;
}

/** Whether a program can be found and run. */
export async function isThere(program: string): Promise<boolean> {
  try {
    await new Deno.Command(program, { args: ["--version"], stdout: "null", stderr: "null" })
      .output();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
