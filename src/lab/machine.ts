/**
 * A machine to experiment with: boot something, look at its exits, answer them.
 *
 * @module
 */

import { planBoot } from "../boot/detect.ts";
import { LOCAL_APIC_GPA } from "../firmware/pc_interrupts.ts";
import { firmwareOptions } from "../firmware/tables.ts";
import { DisposedError } from "../kvm/descriptor.ts";
import { holeText } from "../memory/hole.ts";
import { ramLayout } from "../memory/ram.ts";
import type { DebugOptions } from "../machine/guest_debug.ts";
import { VirtualMachine } from "../machine/machine.ts";
import type { Outcome } from "../machine/outcome.ts";
import { linearRip } from "../x86/instruction.ts";
import { type Address, checkBytes } from "./address.ts";
import type { Exit } from "./exit.ts";
import { ExitServer } from "./exit_server.ts";
import { HandlerSet } from "./handler_set.ts";
import type {
  AccessHandler,
  AddressRange,
  DebugHandler,
  HypercallHandler,
  MemoryFaultHandler,
  MsrHandler,
} from "./handlers.ts";
import { fieldsText, showAs, sizeText } from "./inspect.ts";
import { type GuestRam, GuestRamView } from "./memory.ts";
import {
  type LoadOptions,
  loadOptions,
  type MachineOptions,
  machineOptions,
  type RunLimits,
} from "./options.ts";
import { readableOutcome } from "./readable.ts";
import { type GuestVcpu, LiveVcpu, type VcpuHost } from "./vcpu.ts";

/** How many random bytes a kernel gets that takes a seed from its loader. */
const SEED_BYTES = 32;
/** Where a processor starts after a reset (SDM volume 3A, 10.1.4): no firmware is there. */
const RESET_VECTOR = 0xffff_fff0n;

/**
 * A virtual machine to experiment with.
 *
 * There are two ways to see its exits: a loop over {@linkcode Machine.exits} gets each exit
 * before anything serves it, and {@linkcode Machine.run} leaves them to handlers (`onPort`,
 * `onMmio`, …) and to the machine's devices. The two mix: what a loop does not answer goes to
 * the handlers and devices.
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
  /** All vCPUs. All but the first run on their own threads. */
  readonly vcpus: readonly GuestVcpu[];
  /** Also after disposal; {@linkcode Machine.#vm} is for what must not happen then. */
  #machine: VirtualMachine;
  readonly #vcpus: LiveVcpu[] = [];
  readonly #handlers: HandlerSet = new HandlerSet(this.#vcpus);
  readonly #server: ExitServer;
  readonly #memory = new GuestRamView(() => this.#vm.memory);
  readonly #options: MachineOptions;
  /** Whether nothing was loaded, and no instruction has run. */
  #isFresh = true;
  #isLoaded = false;
  #isRunning = false;
  #isDisposed = false;

  static {
    showAs<Machine>(this.prototype, (self) => self.#text());
  }

  private constructor(options: MachineOptions) {
    const { machine = "bare", unanswered = machine === "bare" ? "error" : "ones" } = options;
    this.#options = options;
    this.#server = new ExitServer(this.#vcpus, unanswered === "error", this.#handlers.byReason);
    this.#machine = this.#make();
    this.#vcpus.push(...this.#hosts().map((host) => new LiveVcpu(host)));
    this.vcpus = this.#vcpus;
  }

  #make(): VirtualMachine {
    return new VirtualMachine({
      ...machineOptions(this.#options),
      serve: this.#server.serve,
      msrs: this.#handlers.msrs,
      onMemoryFault: this.#handlers.decide,
    });
  }

  /** What each vCPU needs of the machine. */
  #hosts(): VcpuHost[] {
    const { contexts, debugs, vm } = this.#machine;
    const signal = this.#options.machine === "pc"
      ? (cpu: number, vector: number) =>
        vm.signalMsi({ address_lo: LOCAL_APIC_GPA | cpu << 12, data: vector })
      : undefined;
    return contexts.map((context, i) => ({ context, debug: debugs[i]!, signal }));
  }

  /** Puts a new machine in the place of this one, with the same handlers and debugging. */
  #reset(): void {
    this.#isLoaded = false;
    const debugging = this.#machine.debugs.map(({ options }): DebugOptions => options);
    this.#server.forget();
    this.#machine[Symbol.dispose]();
    this.#machine = this.#make();
    debugging.forEach((options, i) => this.#machine.debugs[i]!.options = options);
    this.#hosts().forEach((host, i) => this.#vcpus[i]!.moveTo(host));
    this.#handlers.plugInto(this.#machine);
  }

  #text(): string {
    const { machine = "bare" } = this.#options;
    const { memory, outcome } = this.#machine;
    const state = this.#isDisposed
      ? "disposed"
      : this.#isRunning
      ? "running"
      : outcome?.kind ?? (this.#isLoaded ? "loaded" : "nothing loaded");
    return fieldsText("Machine", {
      machine,
      memory: sizeText(memory.sizeBytes),
      vcpus: this.#vcpus.length,
      ...(memory.holes.length > 0 ? { holes: memory.holes.map(holeText) } : {}),
      state,
    });
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
   * Ends the machine and frees what it holds. A run that is under way ends first, as by
   * {@linkcode stop}. Any later use is an error.
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
   * vm.memory.write(0x1000, new Uint8Array([1, 2, 3]));
   * console.log(vm.memory.read(0x1001, 2), vm.memory.u16(0x1001)); // Uint8Array [2, 3] 770
   * ```
   */
  get memory(): GuestRam {
    if (this.#isDisposed) throw new DisposedError("the machine");
    return this.#memory;
  }

  /**
   * Loads an image, makes the holes, and sets the first vCPU up to start it.
   *
   * A machine that has already loaded or run something is reset first, wherever it stopped:
   * RAM is zeroed, devices and all vCPUs are in their reset state, and holes are as new.
   * Handlers, `singleStep` and `breakpoints` stay. A loop over exits that is under way
   * continues with the new guest.
   *
   * @throws {ImageError} when the image is malformed or does not fit; nothing has changed then
   * @throws {RangeError} for options that make no sense
   * @throws {Error} while the machine runs, such as in a handler
   *
   * @example
   * ```ts
   * import { Machine } from "./machine.ts";
   * using vm = Machine.create({ memory: "2M" });
   * vm.load(new Uint8Array([0xe6, 0x10, 0xf4]), { protocol: "flat16" }); // out 0x10, al; hlt
   * for (const _exit of vm.exits()) break;
   * vm.load(new Uint8Array([0xf4]), { protocol: "flat16" });
   * console.log(vm.runSync()); // { kind: "halt" }
   * ```
   */
  load(image: Uint8Array, options: LoadOptions = {}): void {
    const { machine, cpus = 1, commandLine = "" } = this.#options;
    const { protocol, name, ...rest } = loadOptions(options);
    const ram = ramLayout(this.#vm.memory.sizeBytes);
    if (this.#isRunning) throw new Error("load: the machine is running; stop() it first");
    checkBytes("load", image);
    const plan = planBoot(image, name, protocol, {
      ram,
      commandLine,
      rngSeed: crypto.getRandomValues(new Uint8Array(SEED_BYTES)),
      ...(machine === "pc" ? firmwareOptions(ram, cpus) : {}),
      ...rest,
    });
    if (!this.#isFresh) this.#reset();
    this.#isFresh = false;
    this.#machine.boot(plan);
    this.#isLoaded = true;
  }

  /**
   * Runs the guest and hands out each exit before anything serves it. An exit that is not
   * answered (`exit.answer(…)`) when the loop continues is served by the handlers and the
   * devices; a read that none of them answers is an error. Break out of the loop at any exit:
   * the guest stays there and can be resumed.
   *
   * Memory faults, disguised ones included, are not handed out: they go to
   * {@linkcode onMemoryFault} and to the machine's own resolvers.
   *
   * The loop is synchronous: no timer or signal listener, such as one for Ctrl-C, runs until
   * it ends. Use {@linkcode run} where they must.
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
    this.#requireGuest();
    this.#vm.clearOutcome();
    try {
      for (;;) {
        const next = this.#nextExit(deadline);
        if (!next) return readableOutcome({ kind: "timeout", timeoutMs });
        if (!("reason" in next)) return readableOutcome(next);
        yield next;
      }
    } finally {
      if (!this.#isDisposed) this.#server.finishAll();
    }
  }

  /**
   * Runs the guest to its end, with turns for timers, signals and promises.
   *
   * @returns how the run ended; the guest can be resumed
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
      return readableOutcome(this.#serveHanded() ?? await this.#machine.run({ timeoutMs }));
    } finally {
      this.#end();
    }
  }

  /**
   * The same synchronously: nothing else has a turn until the run ends.
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
      return readableOutcome(outcome);
    } finally {
      this.#end();
    }
  }

  /**
   * Ends the run that is under way: from a handler, a loop over exits, or a timer that fires
   * during {@linkcode run}. Its outcome is `stopped`.
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
   * Registers a handler for ports, in place of any device there.
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
  onPort(range: Address | AddressRange, handler: AccessHandler): void {
    this.#handlers.onPort(this.#vm, range, handler);
  }

  /**
   * Registers a handler for guest physical addresses without memory, in place of any
   * device there.
   *
   * @throws {RangeError} for addresses that do not exist, and for RAM, where accesses do not
   *   exit: a hole of the kind `noslot` has no RAM, one of the kind `romslot` exits on writes
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
  onMmio(range: Address | AddressRange, handler: AccessHandler): void {
    this.#handlers.onMmio(this.#vm, range, handler);
  }

  /**
   * Registers a handler for a model-specific register that KVM does not know, or whose value
   * it refuses. KVM itself serves the registers that it knows.
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
    this.#handlers.msrs.set(index, handler);
  }

  /**
   * Registers a handler for the hypercalls that KVM passes to user space:
   * `KVM_HC_MAP_GPA_RANGE` (12) from CPL 0, and no other. The guest must
   * run natively: KVM's instruction emulator has no VMCALL.
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
    this.#handlers.onHypercall(this.#vm, handler);
  }

  /**
   * Registers a handler that decides about memory faults, before the machine's own resolvers:
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
    this.#handlers.onMemoryFault(handler);
  }

  /**
   * Registers a handler for an exception. KVM can report two of them to user space: #DB (1),
   * for the single steps and breakpoints of {@linkcode Vcpu}, and #BP (3), for the guest's own
   * `int3`. All others go to the guest unseen, and so does an `int3` on a host whose KVM does
   * not intercept it. An `int3` counts as executed, unless the handler returns `"inject"`,
   * which gives the guest its #BP, or moves RIP.
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
    this.#handlers.onException(this.#vcpus, vector, handler);
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
    if (this.#isRunning) throw new Error("the machine is running already");
    this.#isRunning = true;
    this.#isFresh = false;
    this.#server.handsOut = handsOut;
  }

  #leave(): void {
    this.#isRunning = false;
    if (this.#isDisposed) this.#machine[Symbol.dispose]();
  }

  /** @throws {Error} if nothing is loaded */
  #requireGuest(): void {
    if (this.#isLoaded) return;
    const { vcpu } = this.#vm;
    if (linearRip(vcpu.regs(), vcpu.sregs()) !== RESET_VECTOR) return;
    throw new Error("nothing is loaded: call load(image) before you run the machine");
  }

  #begin(): void {
    this.#requireGuest();
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
}

/** @throws {RangeError} if the timeout is negative or NaN */
function deadlineOf({ timeoutMs = Infinity }: RunLimits): {
  readonly timeoutMs: number;
  readonly deadline: number;
} {
  if (!(timeoutMs >= 0)) throw new RangeError(`timeoutMs: ${timeoutMs} is not a time to run for`);
  return { timeoutMs, deadline: performance.now() + timeoutMs };
}
