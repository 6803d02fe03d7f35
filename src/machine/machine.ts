/**
 * A machine: KVM, a VM with its RAM, devices and vCPU, put together.
 *
 * @module
 */

import { KVM_X86_VM_TYPE } from "../../ffi/kvm_consts.ts";
import { KVM_SYNC_X86_REGS } from "../../ffi/kvm_run.ts";
import { enter } from "../boot/entry.ts";
import type { BootPlan } from "../boot/plan.ts";
import { MmioBus, PortBus } from "../devices/bus.ts";
import { DebugConsole } from "../devices/debugcon.ts";
import { DebugExit } from "../devices/debug_exit.ts";
import type { ByteSink } from "../devices/device.ts";
import { Uart16550, UART_PORTS } from "../devices/uart16550.ts";
import { ExitDecoder } from "../exits/decode.ts";
import { ThreadAlarm } from "../kvm/alarm.ts";
import { type Capability, Kvm } from "../kvm/kvm.ts";
import { missingCapability } from "../kvm/unavailable.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
import type { Vm } from "../kvm/vm.ts";
import { GuestMemory } from "../memory/guest_memory.ts";
import type { Hole, HoleKind } from "../memory/hole.ts";
import { AttributesResolver, LazyResolver, RebindResolver } from "../memory/resolve.ts";
import { loadDecoder } from "../x86/instruction.ts";
import { MmioIo, PortIo } from "./access.ts";
import { FaultHandler, type FaultOptions } from "./fault_handler.ts";
import { type DebugOptions, GuestDebug } from "./guest_debug.ts";
import { MAP_GPA_RANGE_MASK } from "./hypercall.ts";
import type { Outcome } from "./outcome.ts";
import { type ExitObserver, type RunContext, runLoop } from "./run_loop.ts";
import { RunStatistics } from "./statistics.ts";
import { UnclaimedAccesses, type UnclaimedListener, type UnclaimedPolicy } from "./unclaimed.ts";

/** `bare`: no interrupt controller, HLT ends the run. `pc`: in-kernel irqchip and PIT. */
export type MachineType = "bare" | "pc";

/** What a machine is to be. */
export interface MachineOptions extends DebugOptions, FaultOptions {
  /** Guest RAM in bytes, a multiple of 4096. */
  readonly memoryBytes: number;
  /** Ranges of RAM to make bad. */
  readonly holes?: readonly Hole[];
  /** Default `bare`. */
  readonly type?: MachineType;
  /** The KVM device. Default `/dev/kvm`. */
  readonly kvmPath?: string;
  /** Where COM1 and the debug consoles write. Default: nowhere. */
  readonly output?: ByteSink;
  /** Who looks at exits. Default: nobody. */
  readonly observer?: ExitObserver;
  /** Count by port and GPA and measure time. Default false. */
  readonly detailed?: boolean;
  /** End the run after so many exits. Default: never. */
  readonly maxExits?: number;
  /** Default `ignore`. */
  readonly unclaimed?: UnclaimedPolicy;
  /** Told once of each port and page that nobody claims, under `warn`. */
  readonly onUnclaimed?: UnclaimedListener;
}

/**
 * Where KVM on Intel processors keeps what it needs for real mode: outside RAM,
 * behind the identity map, which KVM puts at 0xfffbc000 unless told otherwise.
 */
const TSS_GPA = 0xfffb_d000;
const COM1 = 0x3f8;
const DEBUGCON = 0xe9;
const FIRMWARE_DEBUGCON = 0x402;
const DEBUG_EXIT = { start: 0xf4, size: 4 };
const NO_OBSERVER: ExitObserver = { wanted: new Uint8Array(256), exit: () => {}, fault: () => {} };

/**
 * A virtual machine, ready to boot and run on the calling thread.
 *
 * @example
 * ```ts
 * import { planBoot } from "../boot/detect.ts";
 * import { Machine } from "./machine.ts";
 * using machine = new Machine({ memoryBytes: 1 << 20 });
 * const halt = new Uint8Array([0xf4]);
 * machine.boot(planBoot(halt, "", "flat16", { ram: machine.memory.ranges }));
 * console.log(machine.runFor(1000)); // { kind: "halt" }
 * ```
 */
export class Machine implements Disposable {
  readonly memory: GuestMemory;
  readonly vm: Vm;
  readonly vcpu: Vcpu;
  readonly ports = new PortBus();
  readonly mmio = new MmioBus();
  readonly statistics: RunStatistics;
  readonly #stack: DisposableStack;
  readonly #context: RunContext;
  readonly #alarm: ThreadAlarm;
  readonly #debug: GuestDebug;

  /**
   * @throws {KvmUnavailableError} when KVM or a capability is missing
   * @throws {SystemError} when the host refuses something, such as the memory
   */
  constructor(options: MachineOptions) {
    using stack = new DisposableStack();
    const kvm = stack.use(Kvm.open(options.kvmPath));
    // The RAM comes before the VM, which must let go of it before it is unmapped.
    this.memory = stack.use(new GuestMemory(options.memoryBytes, options.holes));
    const type = requireHoleCapabilities(kvm, this.memory.holes);
    this.vm = stack.use(kvm.createVm(type));
    this.memory.attach(this.vm);
    this.vm.setTssAddress(TSS_GPA);
    if (type === KVM_X86_VM_TYPE.SW_PROTECTED && kvm.checkExtension("EXIT_HYPERCALL")) {
      this.vm.enableCap("EXIT_HYPERCALL", MAP_GPA_RANGE_MASK);
    }
    if (options.type === "pc") {
      requirePcCapabilities(kvm);
      this.vm.createIrqchip();
      this.vm.createPit2();
    }
    this.vcpu = this.vm.createVcpu(0);
    this.vcpu.setCpuid2Table(kvm.supportedCpuidTable());
    this.vcpu.syncRegs = KVM_SYNC_X86_REGS;
    this.#alarm = stack.use(new ThreadAlarm());
    this.#alarm.guard(this.vcpu);
    this.statistics = new RunStatistics(options.detailed ?? false);
    const memory = options.type === "pc" ? undefined : this.memory;
    this.#debug = new GuestDebug(this.vcpu, options, memory);
    this.#context = this.#makeContext(options);
    this.#addDevices(options.output ?? (() => {}));
    this.#stack = stack.move();
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }

  /** Loads an image as planned, makes the holes, and sets the vCPU up to start it. */
  boot(plan: BootPlan): void {
    enter(plan, this.memory, this.vcpu);
    this.memory.punch();
    this.#debug.start(plan.entry.rip);
  }

  /** Makes the run end with this outcome at the next exit, unless it already has one. */
  stop(outcome: Outcome): void {
    this.#context.stop ??= outcome;
  }

  /**
   * Runs the guest, for at most so long; with `Infinity`, until the run ends.
   *
   * @returns how the run ended, or `undefined` when it may go on
   */
  runFor(milliseconds: number): Outcome | undefined {
    if (milliseconds < Infinity) this.#alarm.arm(milliseconds);
    try {
      return runLoop(this.#context);
    } finally {
      this.#alarm.disarm();
    }
  }

  /**
   * Gets ready what cannot be done while the run loop runs. Call it between two
   * calls of {@linkcode runFor}: it returns at once when nothing waits.
   */
  async settle(): Promise<void> {
    if (this.#context.pending) await loadDecoder();
  }

  /** Adds to an outcome what takes a look at the guest's code: call it once, at the end. */
  async explain(outcome: Outcome): Promise<Outcome> {
    if (outcome.kind !== "memory_fault") return outcome;
    await loadDecoder();
    const { fault, state } = outcome;
    return { ...outcome, fault: this.#context.faults.explain(fault, state) };
  }

  #makeContext(options: MachineOptions): RunContext {
    const { vcpu, statistics } = this;
    const { memory } = this;
    const mmio = new MmioIo(vcpu.area, this.mmio);
    const resolvers = [
      new LazyResolver(memory),
      new RebindResolver(memory),
      new AttributesResolver(memory),
    ];
    return {
      vcpu,
      memory,
      mmio,
      statistics,
      decoder: new ExitDecoder(vcpu.area),
      ports: new PortIo(vcpu.area, this.ports),
      faults: new FaultHandler(vcpu, memory, mmio, options, resolvers),
      observer: options.observer ?? NO_OBSERVER,
      maxExits: options.maxExits ?? Infinity,
      unclaimed: new UnclaimedAccesses(
        options.unclaimed ?? "ignore",
        options.onUnclaimed ?? (() => {}),
      ),
      debugged: (exit) => this.#debug.handle(exit),
      stop: undefined,
      pending: undefined,
    };
  }

  #addDevices(output: ByteSink): void {
    this.ports.add({ start: COM1, size: UART_PORTS }, new Uart16550(output));
    this.ports.add({ start: DEBUGCON, size: 1 }, new DebugConsole(output));
    this.ports.add({ start: FIRMWARE_DEBUGCON, size: 1 }, new DebugConsole(output, "debugcon2"));
    const debugExit = new DebugExit((value) => this.stop({ kind: "debug_exit", value }));
    this.ports.add(DEBUG_EXIT, debugExit);
  }
}

/** Checks that the host can make the holes. @returns the VM type that they need */
function requireHoleCapabilities(kvm: Kvm, holes: readonly Hole[]): number {
  const need = (kind: HoleKind, ...names: Capability[]): boolean => {
    if (!holes.some((hole) => hole.kind === kind)) return false;
    for (const name of names) {
      if (kvm.checkExtension(name) === 0) throw missingCapability(name, `--hole …:${kind}`);
    }
    return true;
  };
  need("romslot", "READONLY_MEM");
  need("gmem", "USER_MEMORY2", "GUEST_MEMFD", "GUEST_MEMFD_FLAGS");
  if (!need("private", "USER_MEMORY2", "GUEST_MEMFD", "VM_TYPES", "MEMORY_ATTRIBUTES")) {
    return KVM_X86_VM_TYPE.DEFAULT;
  }
  if (!(kvm.checkExtension("VM_TYPES") & (1 << KVM_X86_VM_TYPE.SW_PROTECTED))) {
    throw missingCapability("VM_TYPES", "--hole …:private (VM type SW_PROTECTED)");
  }
  return KVM_X86_VM_TYPE.SW_PROTECTED;
}

function requirePcCapabilities(kvm: Kvm): void {
  for (const name of ["IRQCHIP", "PIT2"] as const) {
    if (kvm.checkExtension(name) === 0) throw missingCapability(name, "--machine pc");
  }
}
