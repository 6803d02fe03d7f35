/**
 * Where the output of a run goes: the guest's to stdout, the trace to stderr or a file, messages
 * to stderr. Output that cannot be written ends the run.
 *
 * @module
 */

import { HostFile } from "../../../ffi/host_file.ts";
import { SystemError } from "../../../ffi/libc.ts";
import { describeOutcome, type Outcome } from "../../machine/outcome.ts";
import { type ByteStream, OutputBuffer, type OutputFailure } from "../../trace/output_buffer.ts";
import { outcomeText } from "../../trace/text.ts";
import { Tracer } from "../../trace/tracer.ts";
import type { TraceOptions } from "../options/run_options.ts";
import type { SerialSurroundings } from "../options/serial_option.ts";
import { OutputError } from "../output_error.ts";
import { promptOutput, terminalOutput } from "./guest_output.ts";

/** The streams of a run, and what is written to them. */
export class RunOutput implements Disposable {
  readonly tracer: Tracer;
  /** Takes a byte of the guest's output. */
  readonly guest: (byte: number) => void;
  readonly #stop: (outcome: Outcome) => void;
  readonly #file: TraceFile | undefined;
  readonly #stdout: OutputBuffer;
  readonly #stderr: OutputBuffer;
  readonly #trace: OutputBuffer;
  /** A serial port's file took no more. */
  #lost: Outcome | undefined;

  /** @param stop ends the run */
  constructor(options: TraceOptions, stop: (outcome: Outcome) => void) {
    this.#stop = stop;
    const onFailure = (failure: OutputFailure): void => stop(failureOutcome(failure));
    this.#stderr = new OutputBuffer(Deno.stderr, "stderr", onFailure);
    this.#stdout = new OutputBuffer(Deno.stdout, "guest output to stdout", onFailure);
    this.#file = options.file === undefined ? undefined : new TraceFile(options.file);
    this.#trace = this.#file
      ? new OutputBuffer(this.#file, this.#file.path, onFailure)
      : this.#stderr;
    this.tracer = new Tracer(this.#trace, {
      format: options.format,
      wanted: options.wanted,
      summary: !options.quiet,
      verbose: options.verbose,
      color: !this.#file && Deno.stderr.isTerminal() && !Deno.env.get("NO_COLOR"),
      describe,
    });
    this.guest = Deno.stdout.isTerminal()
      ? terminalOutput(this.#stdout, this.#trace)
      : promptOutput(this.#stdout);
  }

  /** Makes the file of the trace, or empties the one that is there. @throws {OutputError} */
  openTraceFile(): void {
    this.#file?.open();
  }

  /** What the guest's serial ports need. */
  get surroundings(): SerialSurroundings {
    return {
      stdout: this.guest,
      flush: () => this.flush(),
      stop: this.#stop,
      notify: (message) => this.notify(message),
      onFailure: (failure) => this.#stop(this.#lost ??= failureOutcome(failure)),
    };
  }

  /** Tells the user something at once. */
  notify(message: string): void {
    if (this.tracer.style.format === "json") this.tracer.warn(message);
    else this.#stderr.text(`vmexit: ${message}\n`);
    this.#stderr.flush();
  }

  /** Writes out what is there. */
  flush(): void {
    this.#trace.flush();
    this.#stdout.flush();
  }

  /** The run has ended: writes the rest. @returns how it ended, with lost output in view */
  end(outcome: Outcome): Outcome {
    if (Deno.stdout.isTerminal()) this.#trace.flush();
    this.#stdout.flush();
    const ended = unlessLost(this.#stdout, this.#lost ?? outcome);
    this.tracer.end(ended);
    const final = unlessLost(this.#trace, ended);
    if (this.#file) {
      this.#stderr.text(outcomeText(final, describe(final)));
      this.#stderr.flush();
    }
    return final;
  }

  [Symbol.dispose](): void {
    this.#file?.[Symbol.dispose]();
  }
}

/** The outcome, unless output was lost. What a reader has closed is not lost. */
function unlessLost({ failure }: OutputBuffer, outcome: Outcome): Outcome {
  return failure && !failure.closed ? failureOutcome(failure) : outcome;
}

function failureOutcome(failure: OutputFailure): Outcome {
  return failure.closed
    ? { kind: "output_closed" }
    : { kind: "output_failed", what: failure.message };
}

/** An outcome in words, with the option that led to it. */
function describe(outcome: Outcome): string {
  return outcome.kind === "max_exits"
    ? describeOutcome(outcome, `stopped after ${outcome.limit} exits (--max-exits)`)
    : describeOutcome(outcome);
}

/** The file of `--trace-file`, made when the run begins. */
class TraceFile implements ByteStream, Disposable {
  #file: HostFile | undefined;

  constructor(readonly path: string) {}

  /** @throws {OutputError} */
  open(): void {
    try {
      this.#file = new HostFile(this.path);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      throw new OutputError(`${this.path}: ${error.text} (${error.code}); see --trace-file`);
    }
  }

  writeSync(bytes: Uint8Array<ArrayBuffer>): number {
    return this.#file!.writeSync(bytes);
  }

  [Symbol.dispose](): void {
    this.#file?.[Symbol.dispose]();
  }
}
