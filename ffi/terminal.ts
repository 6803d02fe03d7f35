/**
 * Terminal settings (termios), and whether this process may read its terminal:
 * for a console that is typed into.
 *
 * @module
 */

import { check, libc } from "./libc.ts";

/** Bytes of glibc's `struct termios`. */
const TERMIOS_BYTES = 60;
/** Where `c_oflag`, 4 bytes, lies in it. */
const OUTPUT_FLAGS = 4;
const TCSANOW = 0;

/** A terminal's settings: `struct termios`. */
export type TerminalMode = Uint8Array<ArrayBuffer>;

/** The settings of a terminal: tcgetattr(3). @throws {SystemError} when it is not a terminal */
export function terminalMode(fd: number): TerminalMode {
  const mode = new Uint8Array(TERMIOS_BYTES);
  check("tcgetattr", libc.tcgetattr(fd, mode));
  return mode;
}

/**
 * Changes a terminal's settings at once: tcsetattr(3). It stops a process outside
 * the terminal's foreground group.
 *
 * @throws {SystemError}
 */
export function setTerminalMode(fd: number, mode: TerminalMode): void {
  check("tcsetattr", libc.tcsetattr(fd, TCSANOW, mode));
}

/** These settings made raw: every byte passes unchanged, in both directions (cfmakeraw(3)). */
export function transparentMode(mode: TerminalMode): TerminalMode {
  const raw = mode.slice();
  libc.cfmakeraw(raw);
  return raw;
}

/**
 * These settings with raw input: every byte typed arrives unchanged, Ctrl-C
 * included, and without echo. Output is processed as before.
 */
export function rawInputMode(mode: TerminalMode): TerminalMode {
  const raw = transparentMode(mode);
  raw.set(mode.subarray(OUTPUT_FLAGS, OUTPUT_FLAGS + 4), OUTPUT_FLAGS);
  return raw;
}

/**
 * Whether this process may read and set a terminal without being stopped: from its
 * foreground group, or where it is not the controlling terminal.
 */
export function mayUseTerminal(fd: number): boolean {
  const foreground = libc.tcgetpgrp(fd);
  return foreground === -1 || foreground === libc.getpgrp();
}
