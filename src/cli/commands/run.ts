/**
 * `vmexit run`: boots an image and shows its exits.
 *
 * @module
 */

import config from "../../../deno.json" with { type: "json" };
import { SystemError } from "../../../ffi/libc.ts";
import type { BootPlan } from "../../boot/plan.ts";
import { portName } from "../../exits/port_names.ts";
import { hex } from "../../hex.ts";
import { KVM_DEVICE } from "../../kvm/kvm.ts";
import { Machine, type MachineOptions } from "../../machine/machine.ts";
import { NO_MSRS } from "../../machine/msr.ts";
import { exitCodeOf, type Outcome } from "../../machine/outcome.ts";
import { runToEnd } from "../../machine/run.ts";
import { type ByteStream, OutputBuffer, type OutputFailure } from "../../trace/output_buffer.ts";
import { outcomeText } from "../../trace/record.ts";
import { parseTraceSpec, traceNames, TraceSpecError } from "../../trace/spec.ts";
import { Tracer } from "../../trace/tracer.ts";
import { parseCpu } from "../options/cpu_option.ts";
import { parseFwCfg } from "../options/fw_cfg_option.ts";
import { parseHole } from "../options/hole_option.ts";
import { HostFile } from "../../../ffi/host_file.ts";
import { withinHostMemory } from "../host_limit.ts";
import { promptOutput, terminalOutput } from "../console/guest_output.ts";
import { planWarnings } from "../image_advice.ts";
import { planImage } from "../image_file.ts";
import {
  FAULT_POLICIES,
  FORMATS,
  type ParsedOptions,
  UNCLAIMED_POLICIES,
} from "../options/options.ts";
import { OutputError } from "../output_error.ts";
import { openSerial, parseSerial, type SerialChoice } from "../options/serial_option.ts";
import { followStarter } from "../starter.ts";
import { UsageError } from "../options/usage_error.ts";
import { parseAddress, parseChoice, parseCount, parseDuration } from "../options/values.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** What `run` is told beside the image. */
interface RunOptions {
  readonly timeoutMs: number;
  readonly quiet: boolean;
  readonly format: "text" | "json";
  readonly traceFile: string | undefined;
  readonly wanted: Uint8Array;
  readonly verbose: boolean;
  readonly serial: readonly (SerialChoice | undefined)[];
  readonly machine: Omit<MachineOptions, "memoryBytes" | "cpus">;
}

/**
 * Runs the command.
 *
 * @returns the exit code
 * @throws {UsageError} @throws {ImageError} @throws {KvmUnavailableError}
 */
export async function run(parsed: ParsedOptions): Promise<number> {
  if (!followStarter()) return exitCodeOf({ kind: "interrupted", signal: "" });
  const options = parseRunOptions(parsed);
  const { path, plan, memoryBytes, cpus, machine: type } = await planImage(parsed);
  using traceFile = options.traceFile === undefined ? undefined : new TraceFile(options.traceFile);
  // Nothing is written, and so nothing refused, before the machine is there.
  const onFailure = (failure: OutputFailure) => machine.stop(outputOutcome(failure));
  const stderr = new OutputBuffer(Deno.stderr, "stderr", onFailure);
  const stdout = new OutputBuffer(Deno.stdout, "guest output to stdout", onFailure);
  const trace = traceFile ? new OutputBuffer(traceFile, options.traceFile!, onFailure) : stderr;
  const tracer = new Tracer(trace, {
    format: options.format,
    wanted: options.wanted,
    summary: !options.quiet,
    verbose: options.verbose,
    color: !traceFile && Deno.stderr.isTerminal() && !Deno.env.get("NO_COLOR"),
  });
  const output = Deno.stdout.isTerminal() ? terminalOutput(stdout, trace) : promptOutput(stdout);
  const notify = (message: string): void => {
    if (options.format === "json") tracer.warn(message);
    else stderr.text(`vmexit: ${message}\n`);
    stderr.flush();
  };
  const flush = (): void => {
    trace.flush();
    stdout.flush();
  };
  const stop = (outcome: Outcome): void => machine.stop(outcome);
  let lost: Outcome | undefined;
  const onLost = (failure: OutputFailure): void => stop(lost ??= outputOutcome(failure));
  const surroundings = { stdout: output, flush, stop, notify, onFailure: onLost };
  using ports = new DisposableStack();
  const serial = options.serial.map((choice) =>
    choice && ports.use(openSerial(choice, surroundings))
  );
  const machineOptions: MachineOptions = {
    ...options.machine,
    type,
    memoryBytes,
    cpus,
    serial,
    observer: tracer,
    detailed: !options.quiet,
    output,
    onUnclaimed: (space, address) => tracer.warn(unclaimedText(space, address)),
  };
  using machine = withinHostMemory(memoryBytes, () => new Machine(machineOptions));
  traceFile?.open(); // now that a guest can run, and not to lose an older trace before
  tracer.announce({
    version: config.version,
    image: path,
    plan,
    machine: type,
    cpus,
    memoryBytes,
    memory: machine.memory,
  });
  planWarnings(plan).forEach((warning) => tracer.warn(warning));
  if (type === "bare" && cpus > 1) {
    tracer.warn(
      "nothing on a bare machine can start its other vCPUs; give it --machine pc for that",
    );
  }
  if (type === "bare" && parsed.values("fw-cfg").length > 0) {
    tracer.warn("--fw-cfg has no meaning for a bare machine; give it --machine pc");
  }
  const outcome = await runMachine(machine, plan, tracer, options.timeoutMs, {
    onPause: flush,
    onEnd: () => ports.dispose(),
  });
  if (Deno.stdout.isTerminal()) trace.flush();
  stdout.flush();
  const ended = unlessLost(stdout, lost ?? outcome);
  tracer.end(ended);
  const final = unlessLost(trace, ended);
  if (traceFile) {
    stderr.text(outcomeText(final));
    stderr.flush();
  }
  return exitCodeOf(final);
}

/** The outcome, unless output was lost. What nobody wants to read is not lost. */
function unlessLost({ failure }: OutputBuffer, outcome: Outcome): Outcome {
  return failure && !failure.closed ? outputOutcome(failure) : outcome;
}

function outputOutcome(failure: OutputFailure): Outcome {
  return failure.closed
    ? { kind: "output_closed" }
    : { kind: "output_failed", what: failure.message };
}

/** The file of `--trace-file`. */
class TraceFile implements ByteStream, Disposable {
  #file: HostFile | undefined;

  constructor(readonly path: string) {}

  /** Makes the file, or empties the one that is there. @throws {OutputError} */
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

/** Runs the guest to its end, with a turn for signals between slices. */
async function runMachine(
  machine: Machine,
  plan: BootPlan,
  tracer: Tracer,
  timeoutMs: number,
  { onPause, onEnd }: { onPause: () => void; onEnd: () => void },
): Promise<Outcome> {
  const handlers = SIGNALS.map((signal) => {
    const handler = () => machine.stop({ kind: "interrupted", signal });
    Deno.addSignalListener(signal, handler);
    return () => Deno.removeSignalListener(signal, handler);
  });
  try {
    machine.boot(plan);
    tracer.begin(machine.statistics);
    return await runToEnd(machine, { timeoutMs, onPause });
  } finally {
    // The terminal is as it was before a signal can end the process again.
    onEnd();
    handlers.forEach((remove) => remove());
  }
}

function unclaimedText(space: "port" | "gpa", address: number): string {
  const name = space === "port" ? portName(address) : undefined;
  const place = name === undefined ? hex(address) : `${hex(address)} (${name})`;
  return `no device claims ${space} ${place}: reads give all ones, writes are lost`;
}

function parseRunOptions(parsed: ParsedOptions): RunOptions {
  const quietByFlag = parsed.flag("quiet");
  const spec = quietByFlag ? "none" : parsed.value("trace") ?? "all";
  const timeout = parsed.value("timeout");
  const maxExits = parsed.value("max-exits");
  const cpu = parsed.value("cpu");
  const retries = parsed.value("fault-retries");
  const breakpoints = parsed.values("break").map((text) => parseAddress("--break", text));
  if (breakpoints.length > 4) {
    throw new UsageError(`--break: x86 has four breakpoints, not ${breakpoints.length}`);
  }
  return {
    timeoutMs: timeout === undefined ? Infinity : parseDuration("--timeout", timeout),
    quiet: spec === "none",
    format: parseChoice("--format", parsed.value("format") ?? "text", FORMATS),
    traceFile: parsed.value("trace-file"),
    wanted: parseTrace(spec),
    verbose: parsed.flag("verbose"),
    serial: parseSerial(parsed),
    machine: {
      commandLine: parsed.value("append") ?? "",
      fwCfg: parsed.values("fw-cfg").map(parseFwCfg),
      kvmPath: parsed.value("kvm") ?? KVM_DEVICE,
      unclaimed: parseChoice(
        "--unclaimed",
        parsed.value("unclaimed") ?? "warn",
        UNCLAIMED_POLICIES,
      ),
      holes: parsed.values("hole").map(parseHole),
      faultPolicy: parseChoice(
        "--fault-policy",
        parsed.value("fault-policy") ?? "resolve",
        FAULT_POLICIES,
      ),
      ...(retries === undefined ? {} : { faultRetries: parseCount("--fault-retries", retries) }),
      ...(cpu === undefined ? {} : { cpuFeatures: parseCpu(cpu) }),
      ...(parsed.flag("msr-exits") ? { msrs: NO_MSRS } : {}),
      singleStep: parsed.flag("single-step"),
      breakpoints,
      ...(maxExits === undefined ? {} : { maxExits: parseCount("--max-exits", maxExits) }),
    },
  };
}

function parseTrace(spec: string): Uint8Array {
  try {
    return parseTraceSpec(spec);
  } catch (error) {
    if (!(error instanceof TraceSpecError)) throw error;
    throw new UsageError(`--trace: ${error.message}`, {
      given: error.given,
      choices: traceNames(),
    });
  }
}
