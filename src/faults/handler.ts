/**
 * What the run loop does about a memory fault: find out where it is, try to
 * resolve it, and see to it that a fault which keeps coming back ends the run.
 *
 * @module
 */

import type { VmExit } from "../exits/exit.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
import { classify } from "./classify.ts";
import type { Attempt, Disguise, MemoryFault } from "./fault.ts";
import { KNOWN_FAULT_FLAGS } from "./fault.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import { type Candidate, type CpuState, locate, type Location } from "./locate.ts";
import { findPassedStore } from "./passed_store.ts";
import { PAGE_BYTES } from "../memory/ram.ts";
import type { FaultAction, FaultResolver, Resolution } from "./resolve.ts";
import { decoder } from "../x86/instruction.ts";
import type { MmioIo } from "../machine/mmio_io.ts";
import { injectFault } from "./inject.ts";

/** `resolve`: try to repair. `report`: a fault ends the run. */
export type FaultPolicy = "resolve" | "report";

/** How faults are treated. */
export interface FaultOptions {
  /** Default `resolve`. */
  readonly faultPolicy?: FaultPolicy;
  /** How often a fault that comes back without progress is resolved again. Default 3. */
  readonly faultRetries?: number;
  /**
   * Asked about every fault before any resolver: `retry` says that the memory is
   * there now, `inject` gives the guest a page fault, `stop` ends the run, and
   * `undefined` leaves the fault to the resolvers.
   */
  readonly onMemoryFault?: (fault: MemoryFault) => FaultAction | undefined;
  /** Further resolvers, asked before the built-in ones. */
  readonly resolvers?: readonly FaultResolver[];
}

const PAGE = BigInt(PAGE_BYTES);

/** Default of {@linkcode FaultOptions.faultRetries}. */
export const DEFAULT_FAULT_RETRIES = 3;

/** Where a fault came from: the errno, or the exit that it is disguised as. */
export interface FaultOrigin {
  readonly shape: MemoryFault["shape"];
  readonly disguise?: Disguise;
  readonly errno: number;
  /** The exit with the payload, where there is one that may be read. */
  readonly exit?: VmExit;
}

/** What became of a fault. */
export type FaultVerdict =
  /** The guest may go on. */
  | { readonly kind: "resolved"; readonly fault: MemoryFault; readonly attempt: Attempt }
  /** The run ends. */
  | {
    readonly kind: "unresolved";
    readonly fault: MemoryFault;
    readonly attempts: readonly Attempt[];
    readonly state: CpuState;
  }
  /** Nothing is wrong with the memory: the disguise was none. */
  | { readonly kind: "no_fault" }
  /** The memory is good by now: the access that KVM handed out was made. */
  | { readonly kind: "served" }
  /** The instruction decoder is needed and not loaded: load it and ask again. */
  | { readonly kind: "needs_decoder" };

/** The last fault, to tell whether the next one is the same again. */
interface Progress {
  readonly key: string;
  tries: number;
  attempts: Attempt[];
}

/** One vCPU's fault handler. */
export class FaultHandler {
  readonly #vcpu: Vcpu;
  readonly #memory: GuestMemory;
  readonly #mmio: MmioIo;
  readonly #policy: FaultPolicy;
  readonly #retries: number;
  readonly #resolvers: readonly FaultResolver[];
  #progress: Progress | undefined;

  /** @param builtin the resolvers that are asked last */
  constructor(
    vcpu: Vcpu,
    memory: GuestMemory,
    mmio: MmioIo,
    options: FaultOptions,
    builtin: readonly FaultResolver[],
  ) {
    this.#vcpu = vcpu;
    this.#memory = memory;
    this.#mmio = mmio;
    this.#policy = options.faultPolicy ?? "resolve";
    this.#retries = options.faultRetries ?? DEFAULT_FAULT_RETRIES;
    this.#resolvers = [
      ...(options.onMemoryFault ? [callbackResolver(options.onMemoryFault)] : []),
      ...(options.resolvers ?? []),
      ...builtin,
    ];
  }

  /**
   * Deals with a fault. While a store or load that KVM handed out as MMIO cannot
   * be made, it is resolved again, for it must be made before the guest goes on.
   *
   * @param withoutDecoder make do without the decoder if it is still not loaded
   */
  handle(origin: FaultOrigin, withoutDecoder = false): FaultVerdict {
    // KVM queues the parts of a wide access: one may come after its page was repaired.
    if (origin.disguise === "mmio" && this.#mmio.serveFrom(this.#memory)) {
      return { kind: "served" };
    }
    if (needsDecoder(origin) && !decoder() && !withoutDecoder) return { kind: "needs_decoder" };
    const state = this.#state();
    const fault = this.#locate(origin, state);
    if (!fault) return { kind: "no_fault" };
    const progress = this.#note(fault, state);
    const unresolved = () =>
      ({ kind: "unresolved", fault, attempts: progress.attempts, state }) as const;
    while (this.#policy === "resolve" && progress.tries < this.#retries) {
      const attempt = this.#resolve(fault);
      if (!attempt) return unresolved();
      progress.tries++;
      progress.attempts.push({ resolver: attempt.resolver, note: attempt.note });
      if (attempt.action === "stop") return unresolved();
      if (attempt.action === "inject") {
        injectFault(this.#vcpu, fault, state);
        return { kind: "resolved", fault, attempt };
      }
      if (origin.disguise !== "mmio" || this.#mmio.serveFrom(this.#memory)) {
        return { kind: "resolved", fault, attempt };
      }
    }
    return unresolved();
  }

  /** Whether a fault is behind a disguise that it may have; with the decoder loaded. */
  isBehind(origin: FaultOrigin): boolean {
    return this.#locate(origin, this.#state()) !== undefined;
  }

  #state(): CpuState {
    const vcpu = this.#vcpu;
    return { regs: vcpu.regs(), sregs: vcpu.sregs(), events: vcpu.events() };
  }

  /** The first resolver's answer, where one knows what to do. */
  #resolve(fault: MemoryFault): (Attempt & Pick<Resolution, "action">) | undefined {
    if (fault.flags & ~KNOWN_FAULT_FLAGS) return undefined;
    for (const resolver of this.#resolvers) {
      try {
        const resolution = resolver.resolve(fault);
        if (resolution) return { resolver: resolver.name, ...resolution };
      } catch (error) {
        const note = `failed: ${error instanceof Error ? error.message : String(error)}`;
        return { resolver: resolver.name, action: "stop", note };
      }
    }
    return undefined;
  }

  /**
   * Notices a fault that comes back: the same page, access and RIP with the same
   * registers, that is, without an instruction retired in between.
   */
  #note(fault: MemoryFault, { regs }: CpuState): Progress {
    const page = fault.gpa === undefined ? "?" : fault.gpa / PAGE;
    const key = [page, fault.access, ...Object.values(regs)].join();
    if (this.#progress?.key !== key) this.#progress = { key, tries: 0, attempts: [] };
    return this.#progress;
  }

  #locate(origin: FaultOrigin, state: CpuState): MemoryFault | undefined {
    const { exit } = origin;
    if (exit?.reason === "MMIO") {
      // The exit says it all: no instruction needs to be looked at to resolve the fault.
      const { gpa, size, direction } = exit;
      return this.#describe(origin, state, {
        gpa,
        sizeBytes: BigInt(size),
        access: direction,
        locatedBy: "MMIO exit",
      });
    }
    const location = locate(state, this.#memory, decoder(), origin.shape === "disguised");
    if (exit?.reason === "MEMORY_FAULT") {
      const { gpa, size, flags } = exit;
      const candidate = location.candidates.find((c) => samePage(c.gpa, gpa));
      return this.#describe(origin, state, {
        gpa,
        sizeBytes: size,
        access: candidate?.access ?? "unknown",
        locatedBy: "KVM's annotation",
        private: exit.private,
        flags,
        candidate,
        location,
      });
    }
    const locked = location.instruction?.locked ?? false;
    const candidate = location.candidates.find((c) => c.bad && isBehind(origin, c, locked));
    if (origin.shape === "disguised" && !candidate) return undefined;
    return this.#describe(origin, state, {
      gpa: candidate?.gpa,
      sizeBytes: BigInt(candidate?.sizeBytes ?? 0),
      access: candidate?.access ?? "unknown",
      locatedBy: candidate?.source ?? "not located",
      candidate,
      location,
    });
  }

  #describe(origin: FaultOrigin, state: CpuState, known: Known): MemoryFault {
    const { gpa, access, candidate, location } = known;
    const slot = gpa === undefined ? undefined : this.#memory.slotAt(gpa);
    const page = gpa === undefined ? undefined : this.#memory.probe(gpa, access === "write");
    return {
      shape: origin.shape,
      ...(origin.disguise ? { disguise: origin.disguise } : {}),
      errno: origin.errno,
      ...(gpa === undefined ? {} : { gpa }),
      sizeBytes: known.sizeBytes,
      access,
      private: known.private ?? false,
      flags: known.flags ?? 0n,
      ...(candidate?.gva === undefined ? {} : { gva: candidate.gva }),
      rip: state.regs.rip,
      locatedBy: known.locatedBy,
      ...(slot ? { slot: slot.id } : {}),
      hostState: page?.text ?? (gpa === undefined ? "unknown" : "no memory slot"),
      ...(location?.instruction
        ? { instruction: location.instruction.text, instructionRip: state.regs.rip }
        : {}),
      candidates: location?.candidates ?? [],
    };
  }

  /**
   * Adds to an unresolved fault what only a look at the instruction tells: its
   * text, the linear address, every access that it makes.
   */
  explain(fault: MemoryFault, state: CpuState): MemoryFault {
    const { gpa, sizeBytes } = fault;
    const loaded = decoder();
    if (loaded && gpa !== undefined && fault.disguise === "mmio" && fault.access === "write") {
      const passed = findPassedStore(state, this.#memory, loaded, gpa, sizeBytes);
      if (passed) {
        const { instruction, rip, gva } = passed;
        const regs = { ...state.regs, rip };
        const { candidates } = locate({ ...state, regs }, this.#memory, loaded);
        return { ...fault, gva, instruction: instruction.text, instructionRip: rip, candidates };
      }
    }
    const location = locate(state, this.#memory, loaded);
    const candidate = location.candidates.find((c) => samePage(c.gpa, gpa));
    return {
      ...fault,
      ...(candidate?.gva === undefined ? {} : { gva: candidate.gva }),
      ...(location.instruction
        ? { instruction: location.instruction.text, instructionRip: fault.rip }
        : {}),
      candidates: location.candidates,
    };
  }
}

/** A resolver that asks a function. */
function callbackResolver(ask: (fault: MemoryFault) => FaultAction | undefined): FaultResolver {
  return {
    name: "onMemoryFault",
    resolve(fault) {
      const action = ask(fault);
      return action && { action, note: action };
    },
  };
}

/** What is known of a fault's place. */
interface Known extends Pick<MemoryFault, "sizeBytes" | "access" | "locatedBy"> {
  readonly gpa: bigint | undefined;
  readonly private?: boolean;
  readonly flags?: bigint;
  readonly candidate?: Candidate | undefined;
  readonly location?: Location;
}

/** Only where an MMIO exit gives the address can a fault be resolved without a look at the code. */
function needsDecoder({ exit }: FaultOrigin): boolean {
  return exit?.reason !== "MMIO";
}

/**
 * Whether a bad access explains what KVM came out with. Only what cannot be
 * fetched, or takes a lock, fails to be emulated; and only bad tables make a guest
 * fault thrice: a bad operand would have been an MMIO exit, or EFAULT.
 */
function isBehind(
  { exit, shape }: FaultOrigin,
  { kind, source }: Candidate,
  locked: boolean,
): boolean {
  if (shape !== "disguised") return true;
  if (exit?.reason !== "INTERNAL_ERROR") return kind === "table" || kind === "descriptor";
  const fetch = kind === "fetch" || (kind === "table" && source.includes("instruction fetch"));
  const memoryFailed = fetch || (locked && kind === "operand");
  const { suberror, code: exitReason } = exit;
  const run = { result: 0, exitReason, internalError: { suberror, memoryFailed } } as const;
  return classify(run).kind === "fault";
}

function samePage(a: bigint | undefined, b: bigint | undefined): boolean {
  return a !== undefined && b !== undefined && a / PAGE === b / PAGE;
}
