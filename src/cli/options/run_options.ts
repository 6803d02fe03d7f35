/**
 * The options of `vmexit run`, parsed and checked: what the machine and the trace are made with.
 *
 * @module
 */

import { KVM_DEVICE } from "../../kvm/kvm.ts";
import type { VirtualMachineOptions } from "../../machine/machine.ts";
import { NO_MSRS } from "../../machine/msr.ts";
import { parseTraceSpec, type TraceMask, traceNames, TraceSpecError } from "../../trace/spec.ts";
import type { PlannedFor } from "../image_file.ts";
import { parseCpu } from "./cpu_option.ts";
import { parseFwCfg } from "./fw_cfg_option.ts";
import { parseHoleOption } from "./hole_option.ts";
import {
  FAULT_POLICIES,
  FORMATS,
  MACHINE_CHOICES,
  type RunOption,
  UNCLAIMED_POLICIES,
} from "./options.ts";
import type { ParsedOptions } from "./parse.ts";
import { parseSerial, type SerialChoice } from "./serial_option.ts";
import { UsageError } from "./usage_error.ts";
import { parseAddress, parseChoice, parseCount, parseDuration, parsePort } from "./values.ts";

/** The local APICs of more have no room for their ids in 8 bits, of which one value means all. */
const MAX_CPUS = 255;
/** x86 has as many address-breakpoint registers: DR0 to DR3. */
const MAX_BREAKPOINTS = 4;

/** How the trace looks and where it goes. */
export interface TraceOptions {
  /** Print neither exits nor a summary. */
  readonly quiet: boolean;
  readonly format: "text" | "json";
  readonly wanted: TraceMask;
  readonly verbose: boolean;
  /** The file of `--trace-file`; `-` is stdout. */
  readonly file: string | undefined;
}

/** The options of `run`, checked. */
export interface RunOptions {
  readonly timeoutMs: number;
  readonly trace: TraceOptions;
  readonly serial: readonly (SerialChoice | undefined)[];
  readonly plannedFor: PlannedFor;
  readonly machine: Omit<VirtualMachineOptions, "memoryBytes" | "cpus">;
}

/** Reads the options' values. @throws {UsageError} @throws {ImageError} */
export function parseRunOptions(parsed: ParsedOptions<RunOption>): RunOptions {
  const given = <T>(text: string | undefined, parse: (text: string) => T): T | undefined =>
    text === undefined ? undefined : parse(text);
  const faultRetries = given(
    parsed.value("fault-retries"),
    (text) => parseCount("--fault-retries", text),
  );
  const cpuFeatures = given(parsed.value("cpu"), parseCpu);
  const maxExits = given(parsed.value("max-exits"), (text) => parseCount("--max-exits", text));
  const debugExitPort = given(
    parsed.value("debug-exit"),
    (text) => parsePort("--debug-exit", text),
  );
  const timeout = given(parsed.value("timeout"), (text) => parseDuration("--timeout", text));
  return {
    timeoutMs: timeout ?? Infinity,
    trace: parseTraceOptions(parsed),
    serial: parseSerial(parsed),
    plannedFor: {
      cpus: parseCpus(parsed.value("cpus") ?? "1"),
      machine: parseChoice("--machine", parsed.value("machine") ?? "auto", MACHINE_CHOICES),
    },
    machine: {
      commandLine: parsed.value("append") ?? "",
      fwCfg: parsed.values("fw-cfg").map(parseFwCfg),
      kvmPath: parsed.value("kvm") ?? KVM_DEVICE,
      unclaimed: parseChoice(
        "--unclaimed",
        parsed.value("unclaimed") ?? "warn",
        UNCLAIMED_POLICIES,
      ),
      holes: parsed.values("hole").map(parseHoleOption),
      faultPolicy: parseChoice(
        "--fault-policy",
        parsed.value("fault-policy") ?? "resolve",
        FAULT_POLICIES,
      ),
      singleStep: parsed.flag("single-step"),
      breakpoints: parseBreakpoints(parsed.values("break")),
      ...(parsed.flag("msr-exits") ? { msrs: NO_MSRS } : {}),
      ...(faultRetries === undefined ? {} : { faultRetries }),
      ...(cpuFeatures === undefined ? {} : { cpuFeatures }),
      ...(maxExits === undefined ? {} : { maxExits }),
      ...(debugExitPort === undefined ? {} : { debugExitPort }),
    },
  };
}

function parseTraceOptions(parsed: ParsedOptions<RunOption>): TraceOptions {
  const given = parsed.value("trace");
  if (parsed.flag("quiet") && given !== undefined && given !== "none" && given !== "all") {
    throw new UsageError(`--quiet shows no exits, so --trace ${given} has no effect; omit one`);
  }
  const spec = parsed.flag("quiet") ? "none" : given ?? "all";
  return {
    quiet: spec === "none",
    format: parseChoice("--format", parsed.value("format") ?? "text", FORMATS),
    wanted: parseTrace(spec),
    verbose: parsed.flag("verbose"),
    file: parsed.value("trace-file"),
  };
}

function parseTrace(spec: string): TraceMask {
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

function parseCpus(text: string): number {
  const cpus = parseCount("--cpus", text);
  if (cpus > MAX_CPUS) {
    throw new UsageError(`--cpus: a guest has at most ${MAX_CPUS} vCPUs, not ${cpus}`);
  }
  return cpus;
}

function parseBreakpoints(texts: readonly string[]): bigint[] {
  if (texts.length > MAX_BREAKPOINTS) {
    throw new UsageError(`--break: x86 has four breakpoints, not ${texts.length}`);
  }
  return texts.map((text) => parseAddress("--break", text));
}
