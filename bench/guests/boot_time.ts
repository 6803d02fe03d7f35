/**
 * Boots a guest in another program and watches its serial port, which is that
 * program's stdout.
 *
 * @module
 */

/** What to watch for. */
export interface Watch {
  /** The text that says that the guest has come far enough; none: wait for the end. */
  readonly text?: RegExp;
  /** The program is ended once the text is there, and not left to its own end. */
  readonly endAtText: boolean;
  /** On stderr: the program will go no further, though it does not end. */
  readonly stuck?: RegExp;
  /** After so many milliseconds the program is ended. */
  readonly limitMs: number;
}

/** What was seen. Times are milliseconds since the program was started. */
export interface BootTime {
  /** When the first byte came. */
  readonly firstMs?: number;
  /** When the text was whole. */
  readonly textMs?: number;
  /** The exit code of a program that ended by itself. */
  readonly code?: number;
  /** It said that it would go no further. */
  readonly stuck?: true;
  /** The last line of stderr. */
  readonly message: string;
}

/** Text further back than this many characters is not searched again. */
const WINDOW = 1 << 16;

/**
 * Boots once.
 *
 * @example
 * ```ts ignore
 * import { bootOnce } from "./boot_time.ts";
 * const watch = { text: /Hello/, endAtText: false, limitMs: 5000 };
 * console.log(await bootOnce("./vmexit", ["run", "-q", "images/hello.mb"], watch));
 * ```
 */
export async function bootOnce(
  program: string,
  args: readonly string[],
  { text, endAtText, stuck, limitMs }: Watch,
): Promise<BootTime> {
  const start = performance.now();
  const child = new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let killed = false;
  let isStuck = false;
  const kill = (): void => {
    if (killed) return;
    killed = true;
    child.kill("SIGKILL");
  };
  const limit = setTimeout(kill, limitMs);
  let firstMs: number | undefined;
  let textMs: number | undefined;
  const serial = readText(child.stdout, (window) => {
    const now = performance.now() - start;
    firstMs ??= now;
    if (textMs !== undefined || !text?.test(window)) return;
    textMs = now;
    if (endAtText) kill();
  });
  const messages = readText(child.stderr, (window) => {
    if (!stuck?.test(window)) return;
    isStuck = true;
    kill();
  });
  const [, stderr, { code }] = await Promise.all([serial, messages, child.status]);
  clearTimeout(limit);
  return {
    ...(firstMs === undefined ? {} : { firstMs }),
    ...(textMs === undefined ? {} : { textMs }),
    ...(killed ? {} : { code }),
    ...(isStuck ? { stuck: true } : {}),
    message: stderr.trim().split("\n").at(-1)!,
  };
}

/** Reads to the end. @param onText called with the last of what has come, whenever more comes */
async function readText(
  stream: ReadableStream<Uint8Array>,
  onText: (window: string) => void,
): Promise<string> {
  const decoder = new TextDecoder("latin1");
  let window = "";
  for await (const bytes of stream) {
    window = (window + decoder.decode(bytes)).slice(-WINDOW);
    onText(window);
  }
  return window;
}
