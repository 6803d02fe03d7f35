/**
 * `vmexit run`: boots an image and shows its exits.
 *
 * @module
 */

import config from "../../../deno.json" with { type: "json" };
import { EXIT_CODES } from "../../exit_codes.ts";
import { portName } from "../../exits/port_names.ts";
import { hex } from "../../hex.ts";
import { KvmUnavailableError } from "../../kvm/unavailable.ts";
import { VirtualMachine } from "../../machine/machine.ts";
import { exitCodeOf } from "../../machine/outcome.ts";
import { RunOutput } from "../console/run_output.ts";
import { withinHostMemory } from "../host_limit.ts";
import { planWarnings } from "../image_advice.ts";
import { planImage, type PlannedImage } from "../image_file.ts";
import type { RunOption } from "../options/options.ts";
import type { ParsedOptions } from "../options/parse.ts";
import { parseRunOptions, type RunOptions } from "../options/run_options.ts";
import { openSerial } from "../options/serial_option.ts";
import { followStarter } from "../starter.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Runs the command.
 *
 * @returns the exit code
 * @throws {UsageError} @throws {ImageError} @throws {KvmUnavailableError} @throws {OutputError}
 */
export async function run(parsed: ParsedOptions<RunOption>): Promise<number> {
  if (!followStarter()) return EXIT_CODES.interrupted.code;
  try {
    return await runGuest(parsed);
  } catch (error) {
    if (!(error instanceof KvmUnavailableError)) throw error;
    const { explainUnavailable } = await import("../kvm_advice.ts");
    throw explainUnavailable(error, parsed.value("kvm"));
  }
}

async function runGuest(parsed: ParsedOptions<RunOption>): Promise<number> {
  const options = parseRunOptions(parsed);
  const image = await planImage(parsed, options.plannedFor);
  let signal: string | undefined;
  const deadline = performance.now() + options.timeoutMs;
  // Nothing is written, and no signal seen, before the machine is there.
  using output = new RunOutput(options.trace, {
    stop: (outcome) => machine.stop(outcome),
    pause: () => machine.pause(),
    cutShort: () => {
      if (signal !== undefined) return { kind: "interrupted", signal };
      const { timeoutMs } = options;
      return performance.now() >= deadline ? { kind: "timeout", timeoutMs } : undefined;
    },
  });
  using _signals = onSignals((name) =>
    machine.stop({ kind: "interrupted", signal: signal = name })
  );
  using ports = new DisposableStack();
  const serial = options.serial.map((choice) =>
    choice && ports.use(openSerial(choice, output.surroundings))
  );
  using machine = makeMachine(options, image, output, serial);
  output.openTraceFile(); // now that a guest can run, and not to lose an older trace before
  announce(options, image, machine, output);
  machine.boot(image.plan);
  output.tracer.begin(machine.statistics);
  const outcome = await machine.run({
    timeoutMs: options.timeoutMs,
    onPause: () => output.flush(),
    isReady: () => output.hasRoom,
  });
  ports.dispose(); // the terminal is as it was before a signal can end the process again
  return exitCodeOf(await output.end(outcome));
}

type SerialPorts = NonNullable<ConstructorParameters<typeof VirtualMachine>[0]["serial"]>;

/** @throws {KvmUnavailableError} @throws {HostLimitError} */
function makeMachine(
  options: RunOptions,
  { memoryBytes, machine: type }: PlannedImage,
  { tracer, guest }: RunOutput,
  serial: SerialPorts,
): VirtualMachine {
  return withinHostMemory(memoryBytes, () =>
    new VirtualMachine({
      ...options.machine,
      type,
      memoryBytes,
      cpus: options.plannedFor.cpus,
      serial,
      observer: tracer,
      detailed: !options.trace.quiet,
      output: guest,
      onUnclaimed: (space, address) => tracer.warn(unclaimedText(space, address)),
    }));
}

/** Reports the image that is about to run, and its warnings. */
function announce(
  { machine: { fwCfg }, plannedFor: { cpus } }: RunOptions,
  { path, plan, machine: type, memoryBytes }: PlannedImage,
  { memory }: VirtualMachine,
  { tracer }: RunOutput,
): void {
  tracer.announce({
    version: config.version,
    image: path,
    plan,
    machine: type,
    cpus,
    memoryBytes,
    memory,
  });
  for (const warning of planWarnings(plan)) tracer.warn(warning);
  if (type !== "bare") return;
  if (cpus > 1) {
    tracer.warn(
      "nothing on a bare machine can start its other vCPUs; give it --machine pc for that",
    );
  }
  if (fwCfg && fwCfg.length > 0) {
    tracer.warn("--fw-cfg has no meaning for a bare machine; give it --machine pc");
  }
}

/** Calls back for signals that otherwise end the process. */
function onSignals(act: (signal: typeof SIGNALS[number]) => void): Disposable {
  const handlers = SIGNALS.map((signal) => {
    const handler = (): void => act(signal);
    Deno.addSignalListener(signal, handler);
    return { signal, handler };
  });
  return {
    [Symbol.dispose]: () => {
      for (const { signal, handler } of handlers) Deno.removeSignalListener(signal, handler);
    },
  };
}

function unclaimedText(space: "port" | "gpa", address: number): string {
  const name = space === "port" ? portName(address) : undefined;
  const place = name === undefined ? hex(address) : `${hex(address)} (${name})`;
  return `no device claims ${space} ${place}: reads give all ones, writes are lost`;
}
