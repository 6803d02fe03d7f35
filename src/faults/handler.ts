/**
 * Deals with a memory fault: locates it, tries to resolve it, and ends the run when it
 * keeps coming back (R8).
 *
 * @module
 */

import { ENOMEM } from "../../ffi/errno.ts";
import { KVM_INTERNAL_ERROR } from "../../ffi/kvm_consts.ts";
import { SystemError } from "../../ffi/libc.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
import { type GuestMemory, GuestMemoryError } from "../memory/guest_memory.ts";
import { pageOf } from "../pages.ts";
import { type ExtendedState, readExtendedState } from "../x86/extended_state.ts";
import { type DecodedInstruction, decoder } from "../x86/instruction.ts";
import { isResetState } from "../x86/registers.ts";
import { type Attempt, KNOWN_FAULT_FLAGS, type MemoryFault } from "./fault.ts";
import { injectFault } from "./inject.ts";
import type { Candidate } from "./candidate.ts";
import { type CpuState, locate, type Location } from "./locate.ts";
import type { FaultOrigin } from "./origin.ts";
import { findPassedStore, type PassedStore } from "./passed_store.ts";
import type { FaultAction, FaultResolver, Resolution } from "./resolve.ts";

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

/** Default of {@linkcode FaultOptions.faultRetries}. */
export const DEFAULT_FAULT_RETRIES = 3;

/** How a fault was dealt with. */
export type FaultVerdict =
  /** The guest may run again. */
  | { readonly kind: "resolved"; readonly fault: MemoryFault; readonly attempt: Attempt }
  /** The run ends. */
  | {
    readonly kind: "unresolved";
    readonly fault: MemoryFault;
    readonly attempts: readonly Attempt[];
    readonly state: CpuState;
  }
  /** Nothing is wrong with the memory: the exit is what it says. */
  | { readonly kind: "no_fault" }
  /** The memory is good by now: the access that KVM reported as MMIO was made. */
  | { readonly kind: "served" }
  /** The host has no more to give: the run ends. */
  | { readonly kind: "refused"; readonly refusal: SystemError };

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
  readonly #policy: FaultPolicy;
  readonly #retries: number;
  readonly #resolvers: readonly FaultResolver[];
  #progress: Progress | undefined;
  /** How many repairs of the memory this vCPU knows of. */
  #repairs = 0;

  /** @param builtin the resolvers that are asked last; the machine's, one for all vCPUs */
  constructor(
    vcpu: Vcpu,
    memory: GuestMemory,
    options: FaultOptions,
    builtin: readonly FaultResolver[],
  ) {
    this.#vcpu = vcpu;
    this.#memory = memory;
    this.#policy = options.faultPolicy ?? "resolve";
    this.#retries = options.faultRetries ?? DEFAULT_FAULT_RETRIES;
    this.#resolvers = [
      ...(options.onMemoryFault ? [callbackResolver(options.onMemoryFault)] : []),
      ...(options.resolvers ?? []),
      ...builtin,
    ];
  }

  /**
   * Deals with a fault. While a store or load that KVM reported as MMIO cannot be made, it is
   * resolved again, for it must be made before the guest runs.
   */
  handle(origin: FaultOrigin): FaultVerdict {
    const isMmio = origin.disguise === "mmio";
    // KVM queues the parts of a wide access: one may come after its page was repaired.
    if (isMmio && this.#transfer()) return { kind: "served" };
    const state = this.#state();
    const fault = this.#locate(origin, state);
    if (!fault) return { kind: "no_fault" };
    const progress = this.#note(fault, state);
    while (this.#policy === "resolve" && progress.tries < this.#retries) {
      const attempt = this.#resolve(fault) ?? this.#recheck(fault);
      if (!attempt) break;
      if (attempt.refusal) return { kind: "refused", refusal: attempt.refusal };
      progress.tries++;
      progress.attempts.push({ resolver: attempt.resolver, note: attempt.note });
      if (attempt.action === "stop") break;
      if (attempt.action === "inject") {
        if (!isMmio) injectFault(this.#vcpu, fault, state);
        else {
          const regs = this.#beforeStore(fault, state)?.regs ?? state.regs;
          injectFault(this.#vcpu, this.#locateMmio(fault, state), { ...state, regs });
        }
        return { kind: "resolved", fault, attempt };
      }
      this.#repairs = ++this.#memory.repairs;
      if (!isMmio || this.#transfer()) return { kind: "resolved", fault, attempt };
    }
    return {
      kind: "unresolved",
      fault: isMmio ? this.#locateMmio(fault, state) : fault,
      attempts: progress.attempts,
      state,
    };
  }

  /**
   * R10: on several vCPUs another one's service may have repaired the memory since KVM reported
   * the fault. If nothing is bad by now, the access is retried; R8 bounds that.
   */
  #recheck({ gpa, access, flags }: MemoryFault): Attempted | undefined {
    if (flags & ~KNOWN_FAULT_FLAGS) return undefined;
    if (gpa !== undefined && !this.#memory.probe(gpa, access === "write")?.usable) return undefined;
    return { resolver: "recheck", action: "retry", note: "the memory is good by now" };
  }

  /**
   * Makes the access of an MMIO exit to memory, on the guest's behalf: KVM has taken the data
   * of a store out of the instruction, and completes a load with what is put on the page, so
   * that neither is lost or done twice when the guest runs again (R7).
   *
   * @returns whether the memory took it
   */
  #transfer(): boolean {
    const { mmio } = this.#vcpu.page;
    const { data } = mmio;
    try {
      if (mmio.isWrite) this.#memory.write(mmio.gpa, data);
      else data.set(this.#memory.read(mmio.gpa, data.length));
      return true;
    } catch (error) {
      if (error instanceof GuestMemoryError) return false;
      throw error;
    }
  }

  /** Whether an exit that may be a fault in disguise is one. */
  isBehind(origin: FaultOrigin): boolean {
    return this.#locate(origin, this.#state()) !== undefined;
  }

  #state(): CpuState {
    const vcpu = this.#vcpu;
    return { regs: vcpu.regs(), sregs: vcpu.sregs(), events: vcpu.events() };
  }

  /** The answer of the first resolver that has one. */
  #resolve(fault: MemoryFault): Attempted | undefined {
    if (fault.flags & ~KNOWN_FAULT_FLAGS) return undefined;
    for (const resolver of this.#resolvers) {
      try {
        const resolution = resolver.resolve(fault);
        if (resolution) return { resolver: resolver.name, ...resolution };
      } catch (error) {
        if (error instanceof SystemError && error.errno === ENOMEM) {
          return { resolver: resolver.name, action: "stop", note: "", refusal: error };
        }
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
    const page = fault.gpa === undefined ? "?" : pageOf(fault.gpa);
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
    // Once KVM has reset the vCPU, its state is lost (R13).
    if (exit?.reason === "SHUTDOWN" && isResetState(state.regs, state.sregs)) return undefined;
    const extended = (): ExtendedState => readExtendedState(this.#vcpu);
    const location = locate(state, this.#memory, decoder(), extended);
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
    const { instruction } = location;
    const candidate = location.candidates.find((c) => c.bad && isBehind(origin, c, instruction)) ??
      this.#repairedSince(origin, location);
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
   * R10: the access behind a failed emulation whose memory was repaired since: the fetch, if
   * KVM got no bytes of the instruction, or what the instruction accesses with a lock.
   */
  #repairedSince({ exit }: FaultOrigin, location: Location): Candidate | undefined {
    const isRepaired = this.#repairs !== this.#memory.repairs;
    this.#repairs = this.#memory.repairs;
    if (!isRepaired || exit?.reason !== "INTERNAL_ERROR") return undefined;
    if (exit.suberror !== KVM_INTERNAL_ERROR.EMULATION) return undefined;
    const kind = exit.instructionBytes === undefined
      ? "fetch"
      : location.instruction?.locked
      ? "operand"
      : undefined;
    return location.candidates.find((candidate) => candidate.kind === kind);
  }

  /** The store that KVM has already stepped past, and the registers before it. */
  #beforeStore({ gpa, sizeBytes, access }: MemoryFault, state: CpuState): PassedStore | undefined {
    if (gpa === undefined || access !== "write") return undefined;
    const { data } = this.#vcpu.page.mmio;
    const store = { gpa, sizeBytes: Number(sizeBytes), data };
    return findPassedStore(state, this.#memory, decoder(), store);
  }

  /**
   * Adds to an access that KVM reported as MMIO the facts that only its instruction has: the text, the
   * linear address, every access that it makes. Resolving it needs none of these.
   */
  #locateMmio(fault: MemoryFault, state: CpuState): MemoryFault {
    const passed = this.#beforeStore(fault, state);
    const regs = passed?.regs ?? state.regs;
    const { candidates, instruction } = locate({ ...state, regs }, this.#memory, decoder());
    const gva = passed?.gva ?? candidates.find((c) => samePage(c.gpa, fault.gpa))?.gva;
    const text = passed?.instruction.text ?? instruction?.text;
    // KVM reads first what an instruction modifies: to the processor it is a write.
    const [access] = candidates.filter((c) => contains(c, fault.gpa)).map((c) => c.access);
    return {
      ...fault,
      ...(access === "write" ? { access } : {}),
      ...(gva === undefined ? {} : { gva }),
      ...(text === undefined ? {} : { instruction: text, instructionRip: regs.rip }),
      candidates,
    };
  }
}

/** What a resolver did, or that the host refused it. */
interface Attempted extends Attempt, Pick<Resolution, "action"> {
  readonly refusal?: SystemError;
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

/** A fault's place, as far as it is known. */
interface Known extends Pick<MemoryFault, "sizeBytes" | "access" | "locatedBy"> {
  readonly gpa: bigint | undefined;
  readonly private?: boolean;
  readonly flags?: bigint;
  readonly candidate?: Candidate | undefined;
  readonly location?: Location;
}

/**
 * Whether a bad access explains what KVM came out with. Only what cannot be fetched, or takes
 * a lock (LTR does, to make a TSS busy), fails to be emulated; and only bad tables make a guest
 * fault thrice: a bad operand would have been an MMIO exit, or EFAULT. A stall may be any
 * access that surely is made.
 */
function isBehind(
  { exit, shape }: FaultOrigin,
  { kind, source, access, speculative }: Candidate,
  instruction: DecodedInstruction | undefined,
): boolean {
  if (shape !== "disguised") return true;
  if (!exit) return !speculative;
  if (speculative === "walk" || speculative === "length") return false; // it would be EFAULT
  if (exit.reason !== "INTERNAL_ERROR") return kind === "table" || kind === "descriptor";
  const fetch = kind === "fetch" || (kind === "table" && source.includes("instruction fetch"));
  const locked = (kind === "operand" && instruction?.locked) ||
    (kind === "descriptor" && access === "write" && instruction?.mnemonic === "Ltr");
  return exit.suberror === KVM_INTERNAL_ERROR.EMULATION && (fetch || locked === true);
}

function contains({ gpa, sizeBytes }: Candidate, at: bigint | undefined): boolean {
  return gpa !== undefined && at !== undefined && gpa <= at && at < gpa + BigInt(sizeBytes);
}

function samePage(a: bigint | undefined, b: bigint | undefined): boolean {
  return a !== undefined && b !== undefined && pageOf(a) === pageOf(b);
}
