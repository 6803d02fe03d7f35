/**
 * A machine: KVM, a VM with its RAM, devices and vCPU, put together.
 *
 * @module
 */

import { KVM_X86_VM_TYPE } from "../../ffi/kvm_consts.ts";
import { KVM_SYNC_X86_REGS } from "../../ffi/kvm_run.ts";
import { enter } from "../boot/entry.ts";
import { firmwareTables } from "../firmware/tables.ts";
import { type BootPlan, entryAddress } from "../boot/plan.ts";
import { MmioBus, PortBus } from "../devices/bus.ts";
import { DebugConsole } from "../devices/debugcon.ts";
import { DebugExit } from "../devices/debug_exit.ts";
import type { ByteSink, Device } from "../devices/device.ts";
import type { FwCfgFile } from "../firmware/fw_cfg_items.ts";
import { NULL_BACKEND, type SerialBackend, sinkBackend } from "../devices/serial_backend.ts";
import { SerialPort } from "../devices/serial_port.ts";
import { COM_PORTS } from "../devices/uart16550.ts";
import { ExitDecoder } from "../exits/decode.ts";
import { ThreadAlarm } from "../kvm/alarm.ts";
import { Kvm } from "../kvm/kvm.ts";
import { ThreadInput } from "../kvm/thread_input.ts";
import type { Vcpu } from "../kvm/vcpu.ts";
import type { Vm } from "../kvm/vm.ts";
import { GuestMemory } from "../memory/guest_memory.ts";
import type { Hole } from "../memory/hole.ts";
import { AttributesResolver, LazyResolver, RebindResolver } from "../faults/resolve.ts";
import type { CpuFeatures } from "../x86/cpu_features.ts";
import { cpuidFor } from "../x86/cpuid.ts";
import { type InstructionDecoder, loadDecoder } from "../x86/instruction.ts";
import { plugIn } from "./address_map.ts";
import { isDeadHalt } from "./dead_halt.ts";
import { nameFailedInstruction } from "../faults/failed_instruction.ts";
import { FaultHandler, type FaultOptions } from "../faults/handler.ts";
import { type DebugOptions, GuestDebug } from "./guest_debug.ts";
import { MAP_GPA_RANGE_MASK } from "./hypercall.ts";
import { setFirmwareMsrs } from "./initial_msrs.ts";
import { enableMsrExits, type MsrHandler, NO_MSRS } from "./msr.ts";
import { MmioIo } from "./mmio_io.ts";
import type { Outcome } from "./outcome.ts";
import { PortIo } from "./port_io.ts";
import { createPcChips, PcDevices, PcInterrupts } from "./pc.ts";
import { requireHoleCapabilities, requirePcCapabilities } from "./requirements.ts";
import {
  type ExitObserver,
  type RunContext,
  type RunControl,
  runLoop,
  type ServeExit,
} from "./run_loop.ts";
import { STALL, StallWatch } from "../faults/stall.ts";
import { RunStatistics } from "./statistics.ts";
import { ThreadedVcpus } from "./smp/secondary_vcpus.ts";
import { UnclaimedAccesses, type UnclaimedListener, type UnclaimedPolicy } from "./unclaimed.ts";

/** `bare`: no interrupt controller, HLT ends the run. `pc`: in-kernel irqchip and PIT. */
export type MachineType = "bare" | "pc";

/** What a machine is to be. */
export interface MachineOptions extends DebugOptions, FaultOptions {
  /** Guest RAM in bytes, a multiple of 4096. */
  readonly memoryBytes: number;
  /**
   * How many vCPUs the guest sees. Default 1. The first one boots, the others wait for a
   * start-up interrupt, which only a PC's interrupt controllers can bring.
   */
  readonly cpus?: number;
  /** Ranges of RAM to make bad. */
  readonly holes?: readonly Hole[];
  /** Default `bare`. */
  readonly type?: MachineType;
  /** Changes to the processor's features. Default: all that KVM offers. */
  readonly cpuFeatures?: CpuFeatures;
  /**
   * Answers accesses to model-specific registers that KVM does not know or whose value it
   * refuses: they become exits. Default: the guest gets a #GP without an exit.
   */
  readonly msrs?: MsrHandler;
  /** The KVM device. Default `/dev/kvm`. */
  readonly kvmPath?: string;
  /** Where COM1 and the debug consoles write. Default: nowhere. */
  readonly output?: ByteSink;
  /**
   * What COM1 to COM4 are connected with, for whoever made it to dispose. A PC has all four
   * ports, a bare machine COM1 and those named here. Default for COM1: `output`.
   */
  readonly serial?: readonly (SerialBackend | undefined)[];
  /** The kernel's command line, for a PC's fw_cfg. Default: empty. */
  readonly commandLine?: string;
  /** Further files in a PC's fw_cfg. */
  readonly fwCfg?: readonly FwCfgFile[];
  /** Who serves exits. Default: the devices, alone. */
  readonly serve?: ServeExit;
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
/** For how long the guest may run at most until input, timers, dead halts and stalls are looked after. */
const CARE_MS = 100;
/** The same, at first, while input comes: what it leads to is to be seen soon. */
const BUSY_CARE_MS = 1;
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
  readonly #cpus: number;
  /** One for each vCPU that can run. */
  readonly contexts: readonly RunContext[];
  /** The debugging of each of them. */
  readonly debugs: readonly GuestDebug[];
  readonly #control: RunControl;
  readonly #others: ThreadedVcpus | undefined;
  readonly #alarm: ThreadAlarm;
  readonly #input: ThreadInput;
  #nextCareMs = CARE_MS;
  readonly #isPc: boolean;
  readonly #serial: readonly SerialPort[];
  readonly #pc: PcDevices | undefined;
  readonly #stall = new StallWatch();
  /** When the guest comes out at the latest (`performance.now()`); 0 while it does not run. */
  #sliceEnd = 0;

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
    if (options.msrs) enableMsrExits(this.vm);
    this.#isPc = options.type === "pc";
    if (this.#isPc) {
      requirePcCapabilities(kvm, options.cpus ?? 1);
      createPcChips(this.vm);
    }
    this.#cpus = options.cpus ?? 1;
    this.#alarm = stack.use(new ThreadAlarm());
    this.#input = stack.use(new ThreadInput());
    this.statistics = new RunStatistics(options.detailed ?? false);
    const cpuid = kvm.supportedCpuidTable();
    const tscDeadlineTimer = this.#isPc && kvm.checkExtension("TSC_DEADLINE_TIMER") !== 0;
    const features = options.cpuFeatures ? { features: options.cpuFeatures } : {};
    const vcpus = Array.from({ length: this.#isPc ? this.#cpus : 1 }, (_, id) => {
      const vcpu = this.vm.createVcpu(id);
      vcpu.setCpuid2Table(
        cpuidFor(cpuid, { cpu: id, cpus: this.#cpus, tscDeadlineTimer, ...features }),
      );
      if (this.#isPc) setFirmwareMsrs(vcpu);
      vcpu.syncRegs = KVM_SYNC_X86_REGS;
      this.#alarm.guard(vcpu);
      return vcpu;
    });
    this.vcpu = vcpus[0]!;
    this.#control = {
      stop: undefined,
      waits: false,
      others: undefined,
      ...(options.serve ? { serve: options.serve } : {}),
    };
    const halts = this.#isPc ? undefined : this.memory;
    this.debugs = vcpus.map((vcpu) => new GuestDebug(vcpu, options, halts));
    this.contexts = vcpus.map((vcpu, i) => this.#makeContext(vcpu, this.debugs[i]!, options));
    const interrupts = this.#isPc ? new PcInterrupts(this.vm) : undefined;
    this.#serial = this.#makeSerial(options, interrupts);
    for (const { backend } of this.#serial) backend.watchInput?.(this.#input);
    this.#pc = interrupts && this.#makePcDevices(options, interrupts);
    if (vcpus.length > 1) {
      const uarts = this.#serial.map(({ uart }) => uart);
      this.#others = stack.use(new ThreadedVcpus(this.contexts.slice(1), uarts));
      this.#control.others = this.#others;
    }
    plugIn(this.#devices(options.output ?? (() => {})), this.ports, this.mmio);
    this.#stack = stack.move();
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }

  /** Loads an image as planned, makes the holes, and sets the vCPU up to start it. */
  boot(plan: BootPlan): void {
    if (this.#isPc) {
      for (const { gpa, bytes } of firmwareTables(this.memory.ranges, this.#cpus)) {
        this.memory.write(BigInt(gpa), bytes);
      }
    }
    this.#pc?.boot(plan);
    enter(plan, this.memory, this.vcpu);
    this.memory.punch();
    this.debugs.forEach((debug) => debug.start(entryAddress(plan.entry)));
  }

  /** Makes the run end with this outcome at the next exit, unless it already has one. */
  stop(outcome: Outcome): void {
    this.#control.stop ??= outcome;
  }

  /** Whether a vCPU runs on a thread of its own now: KVM makes whoever looks at it wait. */
  isElsewhere(cpu: number): boolean {
    return cpu > 0 && (this.#others?.isRunning(cpu) ?? false);
  }

  /** How the run ended, or is about to. */
  get outcome(): Outcome | undefined {
    return this.#control.stop;
  }

  /** Lets a machine whose run has ended run again. */
  goOn(): void {
    this.#control.stop = undefined;
  }

  /**
   * Runs the guest, for at most so long; with `Infinity`, until the run ends. No
   * vCPU runs before or after.
   *
   * @returns how the run ended, or `undefined` when it may go on
   */
  runFor(milliseconds: number): Outcome | undefined {
    this.#others?.resume();
    try {
      return this.#runUntil(performance.now() + milliseconds);
    } finally {
      this.#others?.park();
      this.#care();
    }
  }

  #runUntil(deadline: number): Outcome | undefined {
    for (;;) {
      this.#care();
      const outcome = this.#runSlice(Math.min(deadline - performance.now(), this.#careMs));
      if (outcome || this.#control.waits) return outcome;
      if (this.#stall.look(this.vcpu, this.memory, this.statistics.exits)) {
        this.contexts[0]!.pending = STALL;
        this.#control.waits = true;
        return undefined;
      }
      if (this.#isPc && this.#isDead()) return { kind: "halt" };
      if (performance.now() >= deadline) return undefined;
    }
  }

  /**
   * Gets ready what cannot be done while the run loop runs. Call it between two
   * calls of {@linkcode runFor}: it returns at once when nothing waits.
   */
  async settle(): Promise<void> {
    if (this.#control.waits) await loadDecoder();
  }

  /** Adds to an outcome what takes a look at the guest's code: call it once, at the end. */
  async explain(outcome: Outcome): Promise<Outcome> {
    const { kind } = outcome;
    return kind === "internal_error" || kind === "memory_fault"
      ? this.explainWith(await loadDecoder(), outcome)
      : outcome;
  }

  /** The same with a decoder that is loaded. */
  explainWith(decoder: InstructionDecoder, outcome: Outcome): Outcome {
    if (outcome.kind === "internal_error") {
      const { vcpu } = this;
      return nameFailedInstruction(outcome, decoder, vcpu.regs(), vcpu.sregs());
    }
    if (outcome.kind !== "memory_fault") return outcome;
    const { fault, state } = outcome;
    const { faults } = this.contexts[outcome.cpu ?? 0]!;
    return { ...outcome, fault: faults.explain(fault, state) };
  }

  #makeContext(vcpu: Vcpu, debug: GuestDebug, options: MachineOptions): RunContext {
    const { statistics, memory } = this;
    const mmio = new MmioIo(vcpu.area, this.mmio);
    const resolvers = [
      new LazyResolver(memory),
      new RebindResolver(memory),
      new AttributesResolver(memory),
    ];
    return {
      control: this.#control,
      vcpu,
      memory,
      mmio,
      msrs: options.msrs ?? NO_MSRS,
      statistics,
      decoder: new ExitDecoder(vcpu.area),
      io: new PortIo(vcpu.area),
      ports: this.ports,
      faults: new FaultHandler(vcpu, memory, mmio, options, resolvers),
      observer: options.observer ?? NO_OBSERVER,
      maxExits: options.maxExits ?? Infinity,
      unclaimed: new UnclaimedAccesses(
        options.unclaimed ?? "ignore",
        options.onUnclaimed ?? (() => {}),
      ),
      debugged: (exit) => debug.handle(exit),
      pending: undefined,
    };
  }

  #runSlice(milliseconds: number): Outcome | undefined {
    this.#sliceEnd = Infinity;
    this.#endSliceIn(milliseconds);
    try {
      return runLoop(this.contexts[0]!);
    } finally {
      this.#sliceEnd = 0;
      this.#alarm.disarm();
      this.#input.take();
    }
  }

  /** Whether all vCPUs have halted for good. Only when the first has, the others are stopped to look. */
  #isDead(): boolean {
    if (!isDeadHalt(this.vm, this.vcpu)) return false;
    if (!this.#others) return true;
    this.#others.park();
    const isDead = !this.#others.isAsked &&
      this.contexts.every(({ vcpu }) => isDeadHalt(this.vm, vcpu));
    this.#others.resume();
    return isDead;
  }

  /** Lets the guest come out in so many milliseconds, unless it does so before. */
  #endSliceIn(milliseconds: number): void {
    const end = performance.now() + milliseconds;
    if (end >= this.#sliceEnd) return;
    this.#sliceEnd = end;
    this.#alarm.arm(milliseconds);
  }

  /** What devices have to do that no access of the guest's makes them do. */
  #care(): void {
    const busy = this.#serial.filter((port) => port.poll()).length > 0;
    this.#nextCareMs = busy ? BUSY_CARE_MS : Math.min(2 * this.#nextCareMs, CARE_MS);
    this.#pc?.poll();
  }

  get #careMs(): number {
    const { backend } = this.#serial[0]!;
    const cares = this.#isPc || this.#serial.length > 1 || backend.poll ||
      this.memory.holes.length > 0;
    return cares ? Math.min(this.#nextCareMs, this.#pc?.dueInMs ?? Infinity) : Infinity;
  }

  #makeSerial(options: MachineOptions, interrupts: PcInterrupts | undefined): SerialPort[] {
    const backends = [...options.serial ?? []];
    backends[0] ??= sinkBackend(options.output ?? (() => {}));
    return COM_PORTS.flatMap(({ irq }, i) => {
      const backend = backends[i] ?? (interrupts && NULL_BACKEND);
      return backend ? [new SerialPort(backend, `uart${i}`, interrupts?.input(irq))] : [];
    });
  }

  #makePcDevices(options: MachineOptions, interrupts: PcInterrupts): PcDevices {
    return new PcDevices({
      cpus: this.#cpus,
      memory: this.memory,
      commandLine: options.commandLine ?? "",
      fwCfg: options.fwCfg ?? [],
      onEvent: (event) => this.stop(event),
      exits: () => this.statistics.exits,
      onSooner: () => this.#endSliceIn(this.#pc!.dueInMs),
    }, interrupts);
  }

  #devices(output: ByteSink): Map<string, Device> {
    return new Map<string, Device>([
      ...this.#serial.map(({ uart }) => [uart.name, uart] as const),
      ["debugcon", new DebugConsole(output)],
      ["debugcon2", new DebugConsole(output, "debugcon2")],
      ["debug-exit", new DebugExit((value) => this.stop({ kind: "debug_exit", value }))],
      ...this.#pc?.byName ?? [],
    ]);
  }
}
