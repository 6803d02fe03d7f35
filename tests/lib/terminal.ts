/**
 * A terminal with `vmexit` at its other end, driven as a user would.
 *
 * @module
 */

import { close, O_CLOEXEC, O_RDWR, open, write } from "../../ffi/libc.ts";
import { isReadable, openPty, tryRead } from "../../ffi/streams.ts";
import { setTerminalMode, type TerminalMode, terminalMode } from "../../ffi/terminal.ts";
import { PROJECT, VMEXIT } from "./vmexit.ts";

/** Far more than anything takes that is waited for. */
const GENEROUS_MS = 20_000;
const O_NOCTTY = 0o400;

/** The settings of a new terminal, by the fields of `struct termios` as the kernel makes it. */
function everydayMode(mode: TerminalMode): TerminalMode {
  const words = new Uint32Array(mode.slice().buffer);
  words[0] = 0o2400; // ICRNL | IXON
  words[1] = 0o5; // OPOST | ONLCR
  words[3] = 0o105073; // ISIG | ICANON | ECHO… | IEXTEN
  return new Uint8Array(words.buffer);
}

/** A pseudo-terminal as its user sees it, with echo and line editing on at first. */
export class Terminal implements Disposable {
  readonly path: string;
  /** What has come out of it so far. */
  screen = "";
  readonly #user: number;
  /** Keeps the terminal open while no process uses it. */
  readonly #line: number;
  readonly #everyday: TerminalMode;

  constructor() {
    const { fd, path } = openPty();
    this.#user = fd;
    this.path = path;
    this.#line = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    setTerminalMode(this.#line, everydayMode(terminalMode(this.#line)));
    this.#everyday = terminalMode(this.#line);
  }

  [Symbol.dispose](): void {
    close(this.#line);
    close(this.#user);
  }

  /** Whether it is set as it was at first. */
  get isEveryday(): boolean {
    const now = terminalMode(this.#line);
    return now.every((byte, i) => byte === this.#everyday[i]);
  }

  /** Starts a line of bash with the terminal as its controlling one; `vmexit` is a command there. */
  start(script: string): Deno.ChildProcess {
    const line = `vmexit() { "$VMEXIT" "$@"; }; ${script}`;
    const all = `exec setsid --ctty --wait bash -c "$1" <"$2" >"$2" 2>&1`;
    return new Deno.Command("bash", {
      args: ["-c", all, "bash", line, this.path],
      cwd: PROJECT,
      env: { VMEXIT },
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
  }

  /** Types. */
  type(keys: string): void {
    write(this.#user, new TextEncoder().encode(keys));
  }

  /** Waits until the screen shows a text, or what a function asks for. @throws if it never does */
  expect(wanted: string | (() => boolean)): void {
    const isThere = typeof wanted === "string" ? () => this.screen.includes(wanted) : wanted;
    const deadline = performance.now() + GENEROUS_MS;
    while (!isThere()) {
      if (performance.now() > deadline) {
        throw new Error(`${wanted} did not come; the screen has ${JSON.stringify(this.screen)}`);
      }
      if (isReadable(this.#user, 10)) this.#read();
    }
  }

  #read(): void {
    const bytes = new Uint8Array(4096);
    const count = tryRead(this.#user, bytes) ?? 0;
    this.screen += new TextDecoder().decode(bytes.subarray(0, count));
  }
}
