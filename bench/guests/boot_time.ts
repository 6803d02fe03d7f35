/**
 * Boots a guest in another program and watches its serial output, which is that
 * program's stdout.
 *
 * @module
 */

/** What to watch for. */
export interface Watch {
  /** The text that completes the boot; without it, the end does. */
  readonly text?: RegExp;
  /** Kill the program once the text appears, instead of waiting for its end. */
  readonly endAtText: boolean;
  /** On stderr: the guest is stuck, though the program does not end. */
  readonly stuck?: RegExp;
  /** Kill the program after this many milliseconds. */
  readonly limitMs: number;
}

/** What was observed. Times are milliseconds since the program was started. */
export interface BootTime {
  /** At the first byte. */
  readonly firstMs?: number;
  /** At the end of the text. */
  readonly textMs?: number;
  /** The exit code, unless the program was killed. */
  readonly code?: number;
  /** It reported that the guest is stuck. */
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
