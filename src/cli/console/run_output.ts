/**
 * Where the output of a run goes: the guest's to stdout, the trace to stderr or a file, messages
 * to stderr. Output that cannot be written ends the run.
 *
 * @module
 */

import { HostFile } from "../../../ffi/host_file.ts";
import { SystemError } from "../../../ffi/libc.ts";
import { NonblockingStream } from "../../../ffi/nonblocking_stream.ts";
import { describeOutcome, type Outcome } from "../../machine/outcome.ts";
import {
  type ByteStream,
  CAPACITY,
  OutputBuffer,
  type OutputFailure,
} from "../../trace/output_buffer.ts";
import { outcomeText } from "../../trace/text.ts";
import { Tracer } from "../../trace/tracer.ts";
import type { TraceOptions } from "../options/run_options.ts";
import type { SerialSurroundings } from "../options/serial_option.ts";
import { OutputError } from "../output_error.ts";
import { promptOutput, terminalOutput } from "./guest_output.ts";
import { SharedScreen } from "./shared_screen.ts";

/** The name of `--trace-file` that means stdout. */
const STDOUT = "-";
/** How long a reader that takes nothing is waited for at a time, with turns of the event loop. */
const WAIT_MS = 20;
/** How long readers have for the rest of the output once the run is cut short. */
const GRACE_MS = 1000;

/** The streams of a run, and what is written to them. */
export class RunOutput implements Disposable {
  readonly tracer: Tracer;
  /** Takes a byte of the guest's output. */
  readonly guest: (byte: number) => void;
  readonly #run: RunControls;
  readonly #stack = new DisposableStack();
  readonly #file: TraceFile | undefined;
  /** Ends the guest's line on stderr, if it has begun one there. */
  readonly #endLine: () => void;
  readonly #stdout: OutputBuffer;
  readonly #stderr: OutputBuffer;
  readonly #trace: OutputBuffer;
  /** Files of serial ports. */
  readonly #files: OutputBuffer[] = [];
  /** A serial port's file took no more. */
  #lost: Outcome | undefined;
  /** When the grace is over (`performance.now()`). */
  #graceEnd: number | undefined;

  constructor(options: TraceOptions, run: RunControls) {
    this.#run = run;
    const onFailure = (failure: OutputFailure): void => run.stop(failureOutcome(failure));
    const buffer = (stream: ByteStream, what: string): OutputBuffer =>
      new OutputBuffer(stream, what, onFailure, run.pause);
    const stdout = this.#stack.use(new NonblockingStream(1));
    const stderr = this.#stack.use(new NonblockingStream(2));
    const outScreen = new SharedScreen();
    const errScreen = stderr.file.key === stdout.file.key ? outScreen : new SharedScreen();
    this.#stdout = buffer(outScreen.forGuest(stdout), "guest output to stdout");
    this.#stderr = buffer(errScreen.forMessages(stderr, () => this.#stderr.flush()), "stderr");
    this.#endLine = () => errScreen.endLine(stderr);
    if (options.file === STDOUT) {
      this.#trace = buffer(outScreen.forMessages(stdout, () => this.#trace.flush()), "stdout");
    } else if (options.file !== undefined) {
      this.#file = this.#stack.use(new TraceFile(options.file));
      this.#trace = buffer(this.#file, options.file);
    } else this.#trace = this.#stderr;
    this.tracer = new Tracer(this.#trace, {
      format: options.format,
      wanted: options.wanted,
      summary: !options.quiet,
      verbose: options.verbose,
      color: this.#trace === this.#stderr && Deno.stderr.isTerminal() && !Deno.env.get("NO_COLOR"),
      describe,
    });
    this.guest = Deno.stdout.isTerminal()
      ? terminalOutput(this.#stdout, this.#trace)
      : promptOutput(this.#stdout);
  }

  [Symbol.dispose](): void {
    this.flush();
    this.#endLine(); // for the message of an error that has ended the run
    this.#stack.dispose();
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
      stop: this.#run.stop,
      notify: (message) => this.notify(message),
      openFile: (path) => this.#openFile(path),
    };
  }

  #openFile(path: string): OutputBuffer {
    const file = this.#stack.use(new HostFile(path));
    const onFailure = (failure: OutputFailure): void =>
      this.#run.stop(this.#lost ??= failureOutcome(failure));
    const buffer = new OutputBuffer(file, path, onFailure, this.#run.pause);
    this.#files.push(buffer);
    return buffer;
  }

  /** Tells the user something at once. */
  notify(message: string): void {
    if (this.tracer.style.format === "json") this.tracer.warn(message);
    else this.#stderr.text(`vmexit: ${message}\n`);
    this.#stderr.flush();
  }

  /** Flushes all streams. */
  flush(): void {
    this.#trace.flush();
    this.#stdout.flush();
  }

  /** Whether no reader holds the guest up; one that does is waited for a little. */
  get hasRoom(): boolean {
    return [this.#stderr, this.#trace, this.#stdout, ...this.#files].every((buffer) =>
      buffer.pending < CAPACITY || buffer.drain(CAPACITY / 2, WAIT_MS)
    );
  }

  /**
   * The run has ended: writes the rest. Readers have as long as they need for that, until the run
   * is cut short, and from then on a grace.
   *
   * @returns how it ended, with lost output in view
   */
  async end(outcome: Outcome): Promise<Outcome> {
    if (Deno.stdout.isTerminal()) this.#trace.flush();
    let ended = this.#lost ?? outcome;
    for (const file of this.#files) ended = await this.#deliver(file, ended);
    ended = await this.#deliver(this.#stdout, this.#lost ?? ended);
    this.tracer.end(ended);
    ended = await this.#deliver(this.#trace, ended);
    if (this.#trace !== this.#stderr) {
      this.#stderr.text(outcomeText(ended, describe(ended)));
      await this.#deliver(this.#stderr, ended);
    }
    return ended;
  }

  /** Writes what a buffer holds, or drops what its reader does not take in time. */
  async #deliver(buffer: OutputBuffer, outcome: Outcome): Promise<Outcome> {
    let ended = outcome;
    while (!buffer.drain(0, WAIT_MS)) {
      if (!CUT_SHORT.has(ended.kind)) ended = this.#run.cutShort() ?? ended;
      if (CUT_SHORT.has(ended.kind)) {
        this.#graceEnd ??= performance.now() + GRACE_MS;
        if (performance.now() >= this.#graceEnd) {
          const bytes = buffer.drop();
          this.tracer.warn(`lost ${bytes} bytes of ${buffer.what}: its reader does not take them`);
          break;
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    const { failure } = buffer;
    // What a reader has closed is not lost.
    return failure && !failure.closed ? failureOutcome(failure) : ended;
  }
}

/** How the output acts on the run, and learns of its limits. */
export interface RunControls {
  /** Ends the run. */
  readonly stop: (outcome: Outcome) => void;
  /** Lets the guest come out, until there is room again. */
  readonly pause: () => void;
  /** How the run is cut short, where it is: by a signal, or because its time is over. */
  readonly cutShort: () => Outcome | undefined;
}

/** Outcomes after which readers have only a grace. */
const CUT_SHORT: ReadonlySet<Outcome["kind"]> = new Set([
  "timeout",
  "interrupted",
  "quit",
  "output_failed",
  "output_closed",
]);

function failureOutcome(failure: OutputFailure): Outcome {
  return failure.closed
    ? { kind: "output_closed" }
    : { kind: "output_failed", what: failure.message };
}

/** An outcome as text, with the option that led to it. */
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

  waitForRoom(timeoutMs: number): boolean {
    return this.#file!.waitForRoom(timeoutMs);
  }

  [Symbol.dispose](): void {
    this.#file?.[Symbol.dispose]();
  }
}
