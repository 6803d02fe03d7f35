/**
 * Terminals: how they treat what is typed, and who may read them.
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

/** The settings of a terminal: tcgetattr(3). @throws {SystemError} when it is none */
export function terminalMode(fd: number): TerminalMode {
  const mode = new Uint8Array(TERMIOS_BYTES);
  check("tcgetattr", libc.tcgetattr(fd, mode));
  return mode;
}

/**
 * Changes a terminal's settings at once: tcsetattr(3). Who is not in the
 * terminal's foreground is stopped by it.
 *
 * @throws {SystemError}
 */
export function setTerminalMode(fd: number, mode: TerminalMode): void {
  check("tcsetattr", libc.tcsetattr(fd, TCSANOW, mode));
}

/** These settings, but every byte passes as it is, in both directions: cfmakeraw(3). */
export function transparentMode(mode: TerminalMode): TerminalMode {
  const raw = mode.slice();
  libc.cfmakeraw(raw);
  return raw;
}

/**
 * These settings, but what is typed is passed on byte for byte and not echoed,
 * Ctrl-C included. Output is treated as before: a newline still begins a line.
 */
export function rawInputMode(mode: TerminalMode): TerminalMode {
  const raw = transparentMode(mode);
  raw.set(mode.subarray(OUTPUT_FLAGS, OUTPUT_FLAGS + 4), OUTPUT_FLAGS);
  return raw;
}

/**
 * Whether a terminal may be read and set: it stops a process that does so while
 * it is not in the terminal's foreground. A terminal that does not control the
 * process lets everybody.
 */
export function mayUseTerminal(fd: number): boolean {
  const foreground = libc.tcgetpgrp(fd);
  return foreground === -1 || foreground === libc.getpgrp();
}
