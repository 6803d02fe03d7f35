/**
 * A machine to experiment with: boot something, look at its exits, answer them.
 *
 * @module
 */

import { KVM_EXIT, X86_VECTOR } from "../../ffi/kvm_consts.ts";
import { planBoot } from "../boot/detect.ts";
import { firmwareOptions } from "../firmware/tables.ts";
import { LOCAL_APIC_GPA } from "../firmware/pc_interrupts.ts";
import { decodeExit } from "../exits/decode.ts";
import type { DebugExit, HypercallExit } from "../exits/exit.ts";
import { DisposedError } from "../kvm/descriptor.ts";
import { missingCapability } from "../kvm/unavailable.ts";
import { MAP_GPA_RANGE_MASK } from "../machine/hypercall.ts";
import { VirtualMachine } from "../machine/machine.ts";
import type { Outcome } from "../machine/outcome.ts";
import { ramLayout } from "../memory/ram.ts";
import type { Exit } from "./exit.ts";
import { ExitServer } from "./exit_server.ts";
import {
  type AccessHandler,
  type AddressRange,
  type DebugHandler,
  HandlerDevice,
  type HypercallHandler,
  type MemoryFaultHandler,
  type MsrHandler,
  MsrHandlers,
} from "./handlers.ts";
import {
  byteSink,
  type GuestRam,
  type LoadOptions,
  type MachineOptions,
  parseHole,
  parseMemory,
  type RunLimits,
} from "./options.ts";
import { type GuestVcpu, LiveVcpu } from "./vcpu.ts";

const DEFAULT_MEMORY = "128M";
/** How many random bytes a kernel gets that takes a seed from its loader. */
const SEED_BYTES = 32;
/** Vectors of the exceptions that KVM can give to user space. */
const REPORTED: readonly number[] = [X86_VECTOR.DB, X86_VECTOR.BP];

/**
 * A virtual machine to experiment with.
 *
 * Its exits are looked at in one of two ways: a loop over {@linkcode Machine.exits} gets each
 * of them before anybody serves it, and {@linkcode Machine.run} leaves them to handlers
 * (`onPort`, `onMmio`, …) and to the machine's devices. Both may be mixed: what a loop does
 * not answer goes to the handlers and devices, too.
 *
 * @example
 * ```ts
 * import { Machine } from "./machine.ts";
 * using vm = Machine.create({ memory: "16M" });
 * vm.load(await Deno.readFile("images/hello.elf"));
 * for (const exit of vm.exits()) {
 *   if (exit.reason === "IO" && exit.port === 0x3f8) Deno.stdout.writeSync(exit.data);
 *   if (exit.reason === "HLT") break;
 * }
 * ```
 */
export class Machine implements Disposable {
  /** All vCPUs. Those behind the first run on threads of their own. */
  readonly vcpus: readonly GuestVcpu[];
  /** Also after disposal; {@linkcode Machine.#vm} is for what must not happen then. */
  readonly #machine: VirtualMachine;
  readonly #server: ExitServer;
  readonly #msrs: MsrHandlers;
  readonly #debugHandlers = new Map<number, DebugHandler>();
  readonly #options: MachineOptions;
  #onHypercall: HypercallHandler | undefined;
  #onMemoryFault: MemoryFaultHandler | undefined;
  #isRunning = false;
  #isDisposed = false;

  private constructor(options: MachineOptions) {
    const { machine = "bare", cpus = 1, unanswered, faultRetries, kvm, output } = options;
    if (machine === "bare" && cpus !== 1) {
      throw new RangeError(`cpus: a bare machine has one vCPU, not ${cpus}; make it a "pc"`);
    }
    const vcpus: LiveVcpu[] = [];
    this.#options = options;
    this.#msrs = new MsrHandlers(vcpus);
    this.#server = new ExitServer(
      vcpus,
      (unanswered ?? (machine === "bare" ? "error" : "ones")) === "error",
      new Map([
        [KVM_EXIT.DEBUG, (vcpu) => this.#debugged(vcpu)],
        [KVM_EXIT.HYPERCALL, (vcpu) => this.#called(vcpu)],
        [KVM_EXIT.IRQ_WINDOW_OPEN, (vcpu) => {
          vcpu.openWindow();
          return true;
        }],
      ]),
    );
    this.#machine = new VirtualMachine({
      type: machine,
      cpus,
      memoryBytes: parseMemory(options.memory ?? DEFAULT_MEMORY),
      holes: (options.holes ?? []).map(parseHole),
      output: byteSink(output),
      commandLine: options.commandLine ?? "",
      serve: this.#server.serve,
      msrs: this.#msrs,
      onMemoryFault: (fault) => this.#onMemoryFault?.(fault) ?? undefined,
      ...(faultRetries === undefined ? {} : { faultRetries }),
      ...(kvm === undefined ? {} : { kvmPath: kvm }),
    });
    const { contexts, debugs, memory, vm } = this.#machine;
    const host = {
      memory,
      signal: machine === "pc"
        ? (cpu: number, vector: number) =>
          vm.signalMsi({ address_lo: LOCAL_APIC_GPA | cpu << 12, data: vector })
        : undefined,
    };
    contexts.forEach((context, i) => vcpus.push(new LiveVcpu(context, debugs[i]!, host)));
    this.vcpus = vcpus;
  }

  /**
   * Makes a machine. Dispose of it, best by `using`.
   *
   * @throws {KvmUnavailableError} when KVM or a capability is missing
   * @throws {RangeError} @throws {HoleError} for options that make no sense
   *
   * @example
   * ```ts
   * import { Machine } from "./machine.ts";
   * using vm = Machine.create({ memory: "64M", machine: "pc", cpus: 2 });
   * console.log(vm.vcpus.length); // 2
   * ```
   */
  static create(options: MachineOptions = {}): Machine {
    return new Machine(options);
  }

  /**
   * Ends the machine and gives everything back: a run that is under way ends first, as by
   * {@linkcode stop}. Any other use afterwards is an error.
   */
  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.stop();
    if (!this.#isRunning) this.#machine[Symbol.dispose]();
  }

  get #vm(): VirtualMachine {
    if (this.#isDisposed) throw new DisposedError("the machine");
    return this.#machine;
  }

  /**
   * The first vCPU, which boots.
   *
   * @example
   * ```ts
   * import { Machine } from "./machine.ts";
   * using vm = Machine.create({ memory: "2M" });
   * console.log(vm.vcpu.id); // 0
   * ```
   */
  get vcpu(): GuestVcpu {
    return this.vcpus[0]!;
  }

  /**
   * The RAM, by guest physical address.
   *
   * @example
   * ```ts
   * import { Machine } from "./machine.ts";
   * using vm = Machine.create({ memory: "2M" });
   * vm.memory.write(0x1000n, new Uint8Array([1, 2, 3]));
   * console.log(vm.memory.read(0x1001n, 2)); // Uint8Array [2, 3]
   * ```
   */
  get memory(): GuestRam {
    return this.#vm.memory;
  }

  /**
   * Loads an image, makes the holes, and sets the first vCPU up to start it. What other
   * vCPUs and devices did before they keep.
   *
   * @throws {ImageError} when the image is malformed or does not fit
   * @throws {Error} while an exit waits to be served
   *
   * @example
   * ```ts
   * import { Machine } from "./machine.ts";
   * using vm = Machine.create({ memory: "2M" });
   * vm.load(new Uint8Array([0xf4]), { protocol: "flat16" }); // hlt
   * console.log(vm.runSync()); // { kind: "halt" }
   * ```
   */
  load(image: Uint8Array, options: LoadOptions = {}): void {
    const { protocol = "auto", name = "", ...rest } = options;
    const { machine, cpus = 1, commandLine = "" } = this.#options;
    if (this.#server.hasUnserved) {
      throw new Error("load: an exit of the guest before waits to be served; let it run on first");
    }
    const ram = ramLayout(this.#vm.memory.sizeBytes);
    const plan = planBoot(image, name, protocol, {
      ram,
      commandLine,
      rngSeed: crypto.getRandomValues(new Uint8Array(SEED_BYTES)),
      ...(machine === "pc" ? firmwareOptions(ram, cpus) : {}),
      ...rest,
    });
    this.#vm.boot(plan);
  }

  /**
   * Runs the guest and hands out each exit before anybody serves it. An exit that is not
   * answered (`exit.answer(…)`) when the loop continues is served by the handlers and the
   * devices; if it reads, and there are none, that is an error. Leaving the loop leaves the
   * guest where it is; it can be run further.
   *
   * Memory faults, in whatever guise they come, are not handed out but go to
   * {@linkcode onMemoryFault} and to the machine's own resolvers.
   *
   * The loop is synchronous: timers and signal listeners have no turn until it ends, so that
   * a listener for Ctrl-C does not hear of it. Use {@linkcode run} where they must.
   *
   * @returns as the generator's last value: how the run ended
   * @throws {UnansweredExitError} when a read is unanswered
   *
   * @example
   * ```ts
   * import { Machine } from "./machine.ts";
   * using vm = Machine.create({ memory: "2M" });
   * vm.load(new Uint8Array([0xe4, 0x10, 0xe6, 0x11, 0xf4]), { protocol: "flat16" });
   * for (const exit of vm.exits()) {
   *   if (exit.reason !== "IO") continue;
   *   if (exit.direction === "in") exit.answer(7);
   *   else console.log(exit.port, exit.data[0]); // 17 7
   * }
   * ```
   */
  *exits(limits: RunLimits = {}): Generator<Exit, Outcome, void> {
    const { timeoutMs, deadline } = deadlineOf(limits);
    this.#vm.clearOutcome();
    try {
      for (;;) {
        const next = this.#nextExit(deadline);
        if (!next) return { kind: "timeout", timeoutMs };
        if ("kind" in next) return next;
        yield next;
      }
    } finally {
      if (!this.#isDisposed) this.#server.finishAll();
    }
  }

  /**
   * Runs the guest to its end, with turns for timers, signals and promises meanwhile.
   *
   * @returns how the run ended; the guest may be run on
   * @throws {UnansweredExitError} when a read is unanswered
   *
   * @example
   * ```ts
   * import { Machine } from "./machine.ts";
   * using vm = Machine.create({ memory: "2M" });
   * vm.load(new Uint8Array([0xeb, 0xfe]), { protocol: "flat16" }); // jmp to itself
   * console.log(await vm.run({ timeoutMs: 50 })); // { kind: "timeout", timeoutMs: 50 }
   * ```
   */
  async run(limits: RunLimits = {}): Promise<Outcome> {
    const { timeoutMs } = deadlineOf(limits);
    this.#begin();
    try {
      return this.#serveHanded() ?? await this.#machine.run({ timeoutMs });
    } finally {
      this.#end();
    }
  }

  /**
   * The same without turns for anything else, and without a promise.
   *
   * @throws {UnansweredExitError} when a read is unanswered
   *
   * @example
   * ```ts
   * import { Machine } from "./machine.ts";
   * using vm = Machine.create({ memory: "2M" });
   * vm.load(new Uint8Array([0xf4]), { protocol: "flat32" });
   * console.log(vm.runSync({ timeoutMs: 1000 })); // { kind: "halt" }
   * ```
   */
  runSync(limits: RunLimits = {}): Outcome {
    const { timeoutMs, deadline } = deadlineOf(limits);
    this.#begin();
    try {
      let outcome = this.#serveHanded();
      for (let left = timeoutMs; !outcome; left = deadline - performance.now()) {
        if (left <= 0) return { kind: "timeout", timeoutMs };
        outcome = this.#machine.runFor(left);
      }
      return outcome;
    } finally {
      this.#end();
    }
  }

  /**
   * Ends the run that is under way, from wherever: a handler, a loop over exits, or what
   * else runs while {@linkcode run} waits. Its outcome is `stopped`.
   *
   * @example
   * ```ts
   * import { Machine } from "./machine.ts";
   * using vm = Machine.create({ memory: "2M" });
   * vm.load(new Uint8Array([0xe6, 0x10, 0xeb, 0xfe]), { protocol: "flat16" });
   * vm.onPort(0x10, { write: () => vm.stop() });
   * console.log(await vm.run()); // { kind: "stopped" }
   * ```
   */
  stop(): void {
    this.#machine.stop({ kind: "stopped" });
  }

  /**
   * Has a handler answer at ports, in place of whatever device is there.
   *
   * @param range a port, or a range of them
   * @throws {RangeError} for ports that do not exist
   *
   * @example
   * ```ts
   * import { Machine } from "./machine.ts";
   * using vm = Machine.create({ memory: "2M" });
   * vm.load(new Uint8Array([0xe4, 0x10, 0xf4]), { protocol: "flat16" }); // in al, 0x10; hlt
   * vm.onPort(0x10, { read: () => 42 });
   * vm.runSync();
   * console.log(vm.vcpu.regs.rax); // 42n
   * ```
   */
  onPort(range: number | AddressRange, handler: AccessHandler): void {
    const { start, size } = rangeOf(range);
    this.#vm.ports.replace({ start, size }, new HandlerDevice("onPort", start, handler));
  }

  /**
   * Has a handler answer at guest physical addresses without memory, in front of whatever
   * device is there. Addresses in RAM never get there, except in a hole of the kind `noslot`.
   *
   * @throws {RangeError} for addresses that do not exist
   *
   * @example
   * ```ts
   * import { Machine } from "./machine.ts";
   * using vm = Machine.create({ memory: "2M" });
   * vm.load(new Uint8Array([0xa1, 0, 0, 0, 0xd0, 0xf4]), { protocol: "flat32" });
   * vm.onMmio({ start: 0xd000_0000, size: 0x1000 }, { read: () => 42 });
   * vm.runSync();
   * console.log(vm.vcpu.regs.rax); // 42n
   * ```
   */
  onMmio(range: number | AddressRange, handler: AccessHandler): void {
    const { start, size } = rangeOf(range);
    this.#vm.mmio.replace({ start, size }, new HandlerDevice("onMmio", start, handler));
  }

  /**
   * Has a handler answer for a model-specific register that KVM does not know, or whose value
   * it refuses. Registers that KVM knows it serves itself.
   *
   * @example
   * ```ts
   * import { Machine } from "./machine.ts";
   * using vm = Machine.create({ memory: "2M" });
   * vm.load(await Deno.readFile("images/msr-unknown.bin64"), { protocol: "flat64" });
   * vm.onMsr(0x12345, { read: () => 42n });
   * console.log(vm.runSync()); // { kind: "halt" }
   * ```
   */
  onMsr(index: number, handler: MsrHandler): void {
    this.#msrs.set(index, handler);
  }

  /**
   * Has a handler answer the hypercalls that KVM leaves to user space: `KVM_HC_MAP_GPA_RANGE`
   * (12) from CPL 0, and no other. It takes a processor that runs the guest's VMCALL: KVM's
   * instruction emulator does not get past one.
   *
   * @throws {KvmUnavailableError} when KVM cannot
   *
   * @example
   * ```ts
   * import { Machine } from "./machine.ts";
   * using vm = Machine.create({ memory: "2M" });
   * vm.onHypercall(({ nr, args }) => {
   *   console.log(nr, args[0]);
   *   return 0n;
   * });
   * ```
   */
  onHypercall(handler: HypercallHandler): void {
    const { vm } = this.#vm;
    if ((BigInt(vm.checkExtension("EXIT_HYPERCALL")) & MAP_GPA_RANGE_MASK) === 0n) {
      throw missingCapability("EXIT_HYPERCALL", { what: "api", name: "onHypercall" });
    }
    vm.enableCap("EXIT_HYPERCALL", MAP_GPA_RANGE_MASK);
    this.#onHypercall = handler;
  }

  /**
   * Has a handler decide about memory faults, before the machine's own resolvers:
   * `"retry"` says that the memory is there now, `"inject"` gives the guest a page fault,
   * `"stop"` ends the run, and `undefined` leaves the fault to the resolvers.
   *
   * @example
   * ```ts
   * import { Machine } from "./machine.ts";
   * using vm = Machine.create({ memory: "2M", holes: ["0x20000+4K:lazy"] });
   * vm.load(new Uint8Array([0xa1, 0, 0, 2, 0, 0xf4]), { protocol: "flat32" });
   * vm.onMemoryFault((fault) => console.log(fault.gpa, fault.access)); // 131072n read
   * vm.runSync();
   * ```
   */
  onMemoryFault(handler: MemoryFaultHandler): void {
    this.#onMemoryFault = handler;
  }

  /**
   * Has a handler look at exceptions. KVM can give user space two of them: #DB (1), for the
   * single steps and breakpoints of {@linkcode Vcpu}, and #BP (3), for the guest's own `int3`.
   * All others go to the guest unseen, and so does an `int3` where KVM emulates or runs the
   * guest in a way that does not intercept it. An `int3` counts as executed, unless the handler
   * says `"inject"`, which gives the guest its #BP, or moves RIP.
   *
   * @throws {RangeError} for other vectors
   *
   * @example
   * ```ts
   * import { Machine } from "./machine.ts";
   * using vm = Machine.create({ memory: "2M" });
   * vm.load(new Uint8Array([0x90, 0x90, 0xf4]), { protocol: "flat16" }); // nop; nop; hlt
   * vm.vcpu.breakpoints = [0x7c01n];
   * vm.onException(1, (_exit, vcpu) => console.log(vcpu.regs.rip)); // 31745n
   * vm.runSync();
   * ```
   */
  onException(vector: number, handler: DebugHandler): void {
    if (!REPORTED.includes(vector)) {
      throw new RangeError(`KVM reports #DB (1) and #BP (3) to user space, not vector ${vector}`);
    }
    this.#debugHandlers.set(vector, handler);
    if (vector !== X86_VECTOR.BP) return;
    for (const vcpu of this.vcpus as readonly LiveVcpu[]) vcpu.debug({ trapInt3: true });
  }

  /** Runs until there is an exit to hand out or the run ends; `undefined`: out of time. */
  #nextExit(deadline: number): Exit | Outcome | undefined {
    this.#enter(true);
    try {
      this.#server.serveHanded();
      for (;;) {
        if (this.#server.handed) return this.#server.handed;
        const left = deadline - performance.now();
        if (left <= 0) return undefined;
        const outcome = this.#machine.runFor(left);
        if (outcome) return outcome;
      }
    } finally {
      this.#leave();
    }
  }

  #enter(handsOut: boolean): void {
    if (this.#isDisposed) throw new DisposedError("the machine");
    if (this.#isRunning) throw new Error("the machine runs already");
    this.#isRunning = true;
    this.#server.handsOut = handsOut;
  }

  #leave(): void {
    this.#isRunning = false;
    if (this.#isDisposed) this.#machine[Symbol.dispose]();
  }

  #begin(): void {
    this.#enter(false);
    this.#machine.clearOutcome();
  }

  #end(): void {
    if (!this.#isDisposed) this.#server.finishAll();
    this.#leave();
  }

  #serveHanded(): Outcome | undefined {
    this.#server.serveHanded();
    return this.#machine.outcome;
  }

  #debugged(vcpu: LiveVcpu): boolean {
    const exit = decodeExit(vcpu.context.vcpu.page) as DebugExit;
    const handler = this.#debugHandlers.get(exit.vector);
    if (exit.vector === X86_VECTOR.BP) {
      const { rip } = vcpu.regs;
      const answer = handler?.(exit, vcpu);
      if (vcpu.regs.rip === rip) vcpu.regs.rip = rip + 1n;
      if (answer === "inject") vcpu.exception(X86_VECTOR.BP);
      return true;
    }
    if (!vcpu.isStepOver) handler?.(exit, vcpu);
    return !vcpu.isDebugged;
  }

  #called(vcpu: LiveVcpu): boolean {
    const { page } = vcpu.context.vcpu;
    const answer = this.#onHypercall?.(decodeExit(page) as HypercallExit, vcpu);
    if (answer === undefined) return false;
    page.replyHypercall(answer);
    return true;
  }
}

/** @throws {RangeError} for what is no time */
function deadlineOf({ timeoutMs = Infinity }: RunLimits): {
  readonly timeoutMs: number;
  readonly deadline: number;
} {
  if (!(timeoutMs >= 0)) throw new RangeError(`timeoutMs: ${timeoutMs} is no time to run for`);
  return { timeoutMs, deadline: performance.now() + timeoutMs };
}

function rangeOf(range: number | AddressRange): AddressRange {
  return typeof range === "number" ? { start: range, size: 1 } : range;
}
