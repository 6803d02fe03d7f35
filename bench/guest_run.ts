/**
 * Runs guests in programs that send a guest's output to stdout, and measures time
 * and memory. Times count from before the program is started.
 *
 * @module
 */

import { output } from "./process.ts";

/** A program and its arguments. */
export interface Command {
  readonly path: string;
  readonly args: readonly string[];
}

/** How long a run took: milliseconds since the start. */
export interface GuestRun {
  /** At the first byte of output. */
  readonly firstMs: number;
  /** At the last byte of output. */
  readonly lastMs: number;
  /** At the program's end. */
  readonly endMs: number;
  /** How many bytes it printed. */
  readonly bytes: number;
}

/**
 * Runs a guest to its end.
 *
 * @throws {Error} when the exit code is not `expectedCode`, or nothing is printed
 *
 * @example
 * ```ts ignore
 * import { runGuest } from "./guest_run.ts";
 * const { firstMs } = await runGuest({ path: "./vmexit", args: ["run", "-q", "hello"] }, 0);
 * ```
 */
export async function runGuest(command: Command, expectedCode: number): Promise<GuestRun> {
  const start = performance.now();
  const child = spawn(command, "stdout");
  let firstMs: number | undefined;
  let lastMs = 0;
  let bytes = 0;
  for await (const chunk of child.stdout) {
    lastMs = performance.now() - start;
    firstMs ??= lastMs;
    bytes += chunk.length;
  }
  const { code } = await child.status;
  const endMs = performance.now() - start;
  if (code !== expectedCode || firstMs === undefined) {
    throw new Error(`${inWords(command)} ended with ${code}, having printed ${bytes} bytes`);
  }
  return { firstMs, lastMs, endMs, bytes };
}

/** Milliseconds until a program writes to stderr; it is killed then. */
export async function messageTimeMs(command: Command, message: RegExp): Promise<number> {
  const start = performance.now();
  const child = spawn(command, "stderr");
  const decoder = new TextDecoder("latin1");
  let text = "";
  try {
    for await (const chunk of child.stderr) {
      text += decoder.decode(chunk);
      if (message.test(text)) return performance.now() - start;
    }
    throw new Error(`${inWords(command)} did not say ${message.source} but: ${text}`);
  } finally {
    await end(child);
  }
}

/** The memory of a program in bytes, without the guest RAM. */
export interface ResidentMemory {
  /** Peak resident set, including pages of files, which processes may share. */
  readonly peak: number;
  /** Private anonymous memory. */
  readonly anonymous: number;
}

/**
 * The memory of a program whose guest has printed something. The guest must not halt;
 * the program is killed.
 *
 * @param ramBytes the guest's RAM: its mapping is recognized by its size
 */
export async function residentMemory(command: Command, ramBytes: number): Promise<ResidentMemory> {
  const child = spawn(command, "stdout");
  const reader = child.stdout.getReader();
  try {
    const { done } = await reader.read();
    if (done) throw new Error(`${inWords(command)} printed nothing`);
    // Deno itself may not read there.
    const text = await output("cat", [`/proc/${child.pid}/status`, `/proc/${child.pid}/smaps`]);
    return residentWithoutRam(text, ramBytes);
  } finally {
    await reader.cancel();
    await end(child);
  }
}

/**
 * Resident memory from `/proc/PID/status` followed by `/proc/PID/smaps`
 * (proc(5)).
 *
 * @throws {Error} unless exactly one mapping is as large as the guest's RAM
 */
export function residentWithoutRam(text: string, ramBytes: number): ResidentMemory {
  const kilobytes = (name: string, from: string): number => {
    const [, value] = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(from) ?? [];
    if (value === undefined) throw new Error(`/proc has no ${name}`);
    return Number(value) * 1024;
  };
  // A mapping's lines begin with its addresses.
  const [status, ...mappings] = text.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const ram = mappings.filter((mapping) => kilobytes("Size", mapping) === ramBytes);
  if (ram.length !== 1) throw new Error(`${ram.length} mappings have ${ramBytes} bytes`);
  const touched = kilobytes("Rss", ram[0]!);
  return {
    peak: kilobytes("VmHWM", status!) - touched,
    anonymous: kilobytes("RssAnon", status!) - touched,
  };
}

type Stream = "stdout" | "stderr";

function spawn({ path, args }: Command, watched: Stream): Deno.ChildProcess {
  const how = (stream: Stream) => stream === watched ? "piped" : "null";
  return new Deno.Command(path, {
    args: [...args],
    stdin: "null",
    stdout: how("stdout"),
    stderr: how("stderr"),
  }).spawn();
}

async function end(child: Deno.ChildProcess): Promise<void> {
  try {
    child.kill("SIGKILL");
  } catch {
    // It has exited by itself.
  }
  await child.status;
}

function inWords({ path, args }: Command): string {
  return `${path} ${args.join(" ")}`;
}
