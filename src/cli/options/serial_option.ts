/**
 * The values of `--com1` to `--com4`: what the serial ports are connected to.
 *
 * @module
 */

import { SystemError } from "../../../ffi/libc.ts";
import { NULL_BACKEND, type SerialBackend } from "../../devices/serial_backend.ts";
import { PtyBackend, UnixBackend } from "../../devices/stream_backend.ts";
import type { OutputBuffer } from "../../trace/output_buffer.ts";
import type { RunOption } from "./options.ts";
import type { ParsedOptions } from "./parse.ts";
import { OutputError } from "../output_error.ts";
import { stdioBackend, type StdioSurroundings } from "../console/stdio_backend.ts";
import { UsageError } from "./usage_error.ts";

/** What a port may be connected to; `file` and `unix` have a path after a colon. */
const KINDS = ["stdio", "file:PATH", "pty", "unix:PATH", "null"] as const;
const PORTS = ["com1", "com2", "com3", "com4"] as const;

/** What to open for a port. */
export interface SerialChoice {
  /** The option, without dashes. */
  readonly option: string;
  readonly kind: "stdio" | "file" | "pty" | "unix" | "null";
  readonly path: string;
}

/**
 * The choices for the four ports; `undefined` for those that are not connected.
 * COM1 is connected to standard input and output unless another port is.
 *
 * @throws {UsageError}
 */
export function parseSerial(parsed: ParsedOptions<RunOption>): (SerialChoice | undefined)[] {
  const choices = PORTS.map((option) => {
    const text = parsed.value(option);
    return text === undefined ? undefined : parseChoice(option, text);
  });
  const [first, second] = choices.filter((choice) => choice?.kind === "stdio");
  if (second) {
    throw new UsageError(
      `--${first!.option} and --${second.option} are both stdio; only one port can be`,
    );
  }
  choices[0] ??= { option: "com1", kind: first ? "null" : "stdio", path: "" };
  return choices;
}

function parseChoice(option: string, text: string): SerialChoice {
  const [, kind, path] = /^(stdio|pty|null|file(?=:.)|unix(?=:.))(?::(.+))?$/s.exec(text) ?? [];
  const wantsPath = kind === "file" || kind === "unix";
  if (kind === undefined || wantsPath !== (path !== undefined)) {
    throw new UsageError(`--${option}: "${text}" is none of ${KINDS.join(", ")}`);
  }
  return { option, kind: kind as SerialChoice["kind"], path: path ?? "" };
}

/** What open ports need. */
export interface SerialSurroundings extends StdioSurroundings {
  /** Opens a new file for a port's output. @throws {SystemError} */
  readonly openFile: (path: string) => OutputBuffer;
}

/** Opens what a port is connected to. @throws {OutputError} */
export function openSerial(choice: SerialChoice, surroundings: SerialSurroundings): SerialBackend {
  const { option, kind, path } = choice;
  try {
    switch (kind) {
      case "stdio":
        return stdioBackend(surroundings);
      case "file":
        return fileBackend(surroundings.openFile(path));
      case "unix":
        return new UnixBackend(path);
      case "pty": {
        const pty = new PtyBackend();
        surroundings.notify(`${option.toUpperCase()} is at ${pty.path}`);
        return pty;
      }
      case "null":
        return NULL_BACKEND;
    }
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(`--${option}: ${error.message}`);
    if (!(error instanceof SystemError)) throw error;
    throw new OutputError(
      `${path || kind}: ${error.text} (${error.code}); see --${option}` +
        (error.code === "ECONNREFUSED" ? ": nothing listens there; remove the stale socket" : ""),
    );
  }
}

/** A file, written in large pieces and closed with the run's other output. */
function fileBackend(file: OutputBuffer): SerialBackend {
  return {
    write: (byte) => file.byte(byte),
    flush: () => file.flush(),
    [Symbol.dispose]: () => file.flush(),
  };
}
