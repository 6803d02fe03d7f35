/**
 * A machine: KVM, a VM with its RAM, devices and vCPU, put together.
 *
 * @module
 */

import { KVM_EXIT, KVM_X86_VM_TYPE } from "../../ffi/kvm_consts.ts";
import { KVM_SYNC_X86_REGS } from "../../ffi/kvm_run.ts";
import { enter } from "../boot/entry.ts";
import { biosTables } from "../firmware/bios.ts";
import { firmwareTables } from "../firmware/tables.ts";
import { type BootPlan, entryAddress } from "../boot/plan.ts";
import { MmioBus, PortBus } from "../devices/bus.ts";
import { DebugConsole } from "../devices/debugcon.ts";
import { DebugExitPort } from "../devices/debug_exit_port.ts";
import type { ByteSink, Device } from "../devices/device.ts";
import type { FwCfgFile } from "../firmware/fw_cfg_items.ts";
import { NULL_BACKEND, type SerialBackend, sinkBackend } from "../devices/serial_backend.ts";
import { SerialPort } from "../devices/serial_port.ts";
import { COM_PORTS } from "../devices/uart16550.ts";
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
import { plugIn } from "./address_map.ts";
import { isDeadHalt } from "./dead_halt.ts";
import { FaultHandler, type FaultOptions } from "../faults/handler.ts";
import { type DebugOptions, GuestDebug } from "./guest_debug.ts";
import { MAP_GPA_RANGE_MASK } from "./hypercall.ts";
import { setFirmwareMsrs } from "./initial_msrs.ts";
import { enableMsrExits, type MsrDevice, NO_MSRS } from "./msr.ts";
import type { Outcome } from "./outcome.ts";
import { createPcChips, PcDevices, PcInterrupts, setUpPcChips } from "./pc.ts";
import {
  requireAttributes,
  requireHoleCapabilities,
  requirePcCapabilities,
} from "./requirements.ts";
import type { ExitObserver, Next, RunContext, RunControl, ServeExit } from "./run_context.ts";
import { runLoop } from "./run_loop.ts";
import { serve, serveStall } from "./serve.ts";
import { STALL, StallWatch } from "../faults/stall.ts";
import { RunStatistics } from "./statistics.ts";
import { SecondaryVcpus } from "./smp/secondary_vcpus.ts";
import { UnclaimedAccesses, type UnclaimedListener, type UnclaimedPolicy } from "./unclaimed.ts";

/** `bare`: no interrupt controller, HLT ends the run. `pc`: in-kernel irqchip and PIT. */
export type MachineType = "bare" | "pc";

/** The options of a machine. */
export interface VirtualMachineOptions extends DebugOptions, FaultOptions {
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
  readonly msrs?: MsrDevice;
  /** The KVM device. Default `/dev/kvm`. */
  readonly kvmPath?: string;
  /** Where COM1 and the debug consoles write. Default: nowhere. */
  readonly output?: ByteSink;
  /**
   * What COM1 to COM4 are connected to; the caller disposes of it. A PC has all four
   * ports, a bare machine COM1 and those named here. Default for COM1: `output`.
   */
  readonly serial?: readonly (SerialBackend | undefined)[];
  /** The kernel's command line, for a PC's fw_cfg. Default: empty. */
  readonly commandLine?: string;
  /** The port by which the guest ends the run. Default 0xf4. */
  readonly debugExitPort?: number;
  /** Further files in a PC's fw_cfg. */
  readonly fwCfg?: readonly FwCfgFile[];
  /** Serves exits. Default: the devices alone ({@linkcode serve}). */
  readonly serve?: ServeExit;
  /** Sees exits. Default: none. */
  readonly observer?: ExitObserver;
  /** Count by port and GPA and measure time. Default false. */
  readonly detailed?: boolean;
  /** End the run after this many exits. Default: never. */
  readonly maxExits?: number;
  /** Default `ignore`. */
  readonly unclaimed?: UnclaimedPolicy;
  /** Told once of each port and page that no device claims, under `warn`. */
  readonly onUnclaimed?: UnclaimedListener;
}

/**
 * Where KVM on Intel processors keeps what it needs for real mode: outside RAM,
 * after the identity map, which KVM puts at 0xfffbc000 by default.
 */
const TSS_GPA = 0xfffb_d000;
/** How a machine is run. */
export interface RunPacing {
  /** End the run after this many milliseconds. Default: never. */
  readonly timeoutMs?: number;
  /** Called before each turn of the event loop. */
  readonly onPause?: () => void;
  /** Whether the guest may run now; while not, only the event loop does. Default: always. */
  readonly isReady?: () => boolean;
}

/** How long the guest runs before the event loop gets a turn. */
const SLICE_MS = 200;
/** How long the guest runs at most before input, timers, dead halts and stalls are polled. */
const POLL_MS = 100;
/** The same while input arrives, so that its echo is seen soon. */
const BUSY_POLL_MS = 1;
const NO_OBSERVER: ExitObserver = { wanted: new Uint8Array(256), exit: () => {}, fault: () => {} };

/**
 * A virtual machine, ready to boot and run on the calling thread.
 *
 * @example
 * ```ts
 * import { planBoot } from "../boot/detect.ts";
 * import { VirtualMachine } from "./machine.ts";
 * using machine = new VirtualMachine({ memoryBytes: 1 << 20 });
 * const halt = new Uint8Array([0xf4]);
 * machine.boot(planBoot(halt, "", "flat16", { ram: machine.memory.ranges }));
 * console.log(await machine.run({ timeoutMs: 1000 })); // { kind: "halt" }
 * ```
 */
export class VirtualMachine implements Disposable {
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
  readonly #secondaries: SecondaryVcpus | undefined;
  readonly #alarm: ThreadAlarm;
  readonly #input: ThreadInput;
  #nextPollMs = POLL_MS;
  readonly #isPc: boolean;
  readonly #serial: readonly SerialPort[];
  readonly #pc: PcDevices | undefined;
  readonly #stalls: StallWatch;
  /** When the guest comes out at the latest (`performance.now()`); 0 while it does not run. */
  #sliceEnd = 0;
  /** When `runFor` is to return. */
  #deadline = 0;

  /**
   * @throws {KvmUnavailableError} when KVM or a capability is missing
   * @throws {SystemError} when the host refuses something, such as the memory
   */
  constructor(options: VirtualMachineOptions) {
    using stack = new DisposableStack();
    const kvm = stack.use(Kvm.open(options.kvmPath));
    // The RAM comes before the VM, which must let go of it before it is unmapped.
    this.memory = stack.use(new GuestMemory(options.memoryBytes, options.holes));
    const type = requireHoleCapabilities(kvm, this.memory.holes);
    this.vm = stack.use(kvm.createVm(type));
    requireAttributes(this.vm, this.memory.holes);
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
      vcpu.page.syncRegs = KVM_SYNC_X86_REGS;
      this.#alarm.guard(vcpu);
      return vcpu;
    });
    this.vcpu = vcpus[0]!;
    this.#stalls = new StallWatch(this.memory.holes.length > 0);
    this.#control = {
      outcome: undefined,
      secondaries: undefined,
      serve: options.serve ?? serve,
    };
    const isHltExit = !this.#isPc;
    this.debugs = vcpus.map((vcpu) => new GuestDebug(vcpu, options, this.memory, isHltExit));
    this.contexts = this.#makeContexts(vcpus, options);
    const interrupts = this.#isPc ? new PcInterrupts(this.vm) : undefined;
    this.#serial = this.#makeSerial(options, interrupts);
    for (const { backend } of this.#serial) backend.watchInput?.(this.#input);
    this.#pc = interrupts && this.#makePcDevices(options, interrupts);
    if (vcpus.length > 1) {
      const uarts = this.#serial.map(({ uart }) => uart);
      const { serve, observer, maxExits } = options;
      const mayPost = !serve && !observer?.wanted[KVM_EXIT.IO] && maxExits === undefined;
      this.#secondaries = stack.use(new SecondaryVcpus(this.contexts.slice(1), uarts, mayPost));
      this.#control.secondaries = this.#secondaries;
    }
    const devices = this.#devices(options.output ?? (() => {}));
    plugIn(devices, this.ports, this.mmio, options.debugExitPort);
    this.#stack = stack.move();
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }

  /** Loads an image as planned, makes the holes, and sets the vCPU up to start it. */
  boot(plan: BootPlan): void {
    const tables = this.#isPc ? firmwareTables(this.memory.ranges, this.#cpus) : [];
    const hasBios = this.#isPc || plan.entry.mode === "real";
    for (
      const { gpa, bytes } of [
        ...tables,
        ...(hasBios ? biosTables(plan.memoryMap, this.#isPc) : []),
      ]
    ) {
      this.memory.write(BigInt(gpa), bytes);
    }
    if (this.#isPc) setUpPcChips(this.vm);
    this.#pc?.boot(plan);
    enter(plan, this.memory, this.vcpu);
    this.memory.punch();
    this.debugs.forEach((debug) => debug.start(entryAddress(plan.entry)));
  }

  /** Makes the run end with this outcome at the next exit, unless it already has one. */
  stop(outcome: Outcome): void {
    this.#control.outcome ??= outcome;
  }

  /** How the run ended, or is about to. */
  get outcome(): Outcome | undefined {
    return this.#control.outcome;
  }

  /** Lets a machine whose run has ended run again. */
  clearOutcome(): void {
    this.#control.outcome = undefined;
  }

  /** Runs the guest to its end, with turns for timers, signals and promises between slices. */
  async run(
    { timeoutMs = Infinity, onPause = () => {}, isReady = () => true }: RunPacing = {},
  ): Promise<Outcome> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const left = deadline - performance.now();
      if (left <= 0) return { kind: "timeout", timeoutMs };
      const outcome = isReady() ? this.runFor(Math.min(SLICE_MS, left)) : this.#wait();
      if (outcome) return outcome;
      onPause();
      await eventLoopTurn();
    }
  }

  /**
   * Runs the guest, for at most so long; with `Infinity`, until the run ends. No
   * vCPU runs before or after.
   *
   * @returns how the run ended; `undefined` when it has not, because the time is up or an exit
   *   was handed out
   */
  runFor(milliseconds: number): Outcome | undefined {
    this.#secondaries?.start();
    this.#deadline = performance.now() + milliseconds;
    try {
      return this.#runUntilDeadline();
    } finally {
      this.#secondaries?.park();
      this.#poll();
    }
  }

  /** Makes `runFor` return as soon as the guest is out. */
  pause(): void {
    this.#deadline = 0;
    this.#endSliceIn(0);
  }

  /** Polls without running the guest: the console may ask for the end of the run. */
  #wait(): Outcome | undefined {
    this.#poll();
    return this.outcome;
  }

  #runUntilDeadline(): Outcome | undefined {
    for (;;) {
      this.#poll();
      const next = this.#runSlice(Math.min(this.#deadline - performance.now(), this.#pollMs));
      if (next === "stop") return this.outcome;
      if (next === "wait") return undefined;
      if (this.#stalls.isDue(performance.now())) {
        this.#serveStalls();
        if (this.outcome) return this.outcome;
      }
      if (this.#isPc && this.#isDead()) return { kind: "halt" };
      if (performance.now() >= this.#deadline) return undefined;
    }
  }

  /** Makes the run contexts, one for each vCPU; they share the machine's parts. */
  #makeContexts(vcpus: readonly Vcpu[], options: VirtualMachineOptions): RunContext[] {
    const { statistics, memory, ports, mmio } = this;
    const builtin = [
      new LazyResolver(memory),
      new RebindResolver(memory),
      new AttributesResolver(memory),
    ];
    const unclaimed = new UnclaimedAccesses(
      options.unclaimed ?? "ignore",
      options.onUnclaimed ?? (() => {}),
    );
    return vcpus.map((vcpu, i) => ({
      control: this.#control,
      vcpu,
      memory,
      ports,
      mmio,
      msrs: options.msrs ?? NO_MSRS,
      statistics,
      faults: new FaultHandler(vcpu, memory, options, builtin),
      observer: options.observer ?? NO_OBSERVER,
      maxExits: options.maxExits ?? Infinity,
      unclaimed,
      debug: this.debugs[i]!,
    }));
  }

  #runSlice(milliseconds: number): Next {
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

  /** R11: serves the faults of vCPUs that do not come out of the guest and get nowhere. */
  #serveStalls(): void {
    this.#secondaries?.park();
    for (const context of this.contexts) {
      if (this.#stalls.look(context.vcpu)) serveStall(context, STALL);
    }
    if (!this.outcome) this.#secondaries?.start();
  }

  /** Whether all vCPUs have halted for good. Only when the first has, the others are stopped to look. */
  #isDead(): boolean {
    if (!isDeadHalt(this.vm, this.vcpu)) return false;
    if (!this.#secondaries) return true;
    this.#secondaries.park();
    const isDead = this.contexts.every(({ vcpu }) =>
      vcpu.cycle.state !== "exited" && isDeadHalt(this.vm, vcpu)
    );
    this.#secondaries.start();
    return isDead;
  }

  /** Brings the guest out after this many milliseconds at the latest. */
  #endSliceIn(milliseconds: number): void {
    const end = performance.now() + milliseconds;
    if (end >= this.#sliceEnd) return;
    this.#sliceEnd = end;
    this.#alarm.arm(milliseconds);
  }

  /** Has devices do what no access makes them do: take input, fire timers. */
  #poll(): void {
    const busy = this.#serial.filter((port) => port.poll()).length > 0;
    this.#nextPollMs = busy ? BUSY_POLL_MS : Math.min(2 * this.#nextPollMs, POLL_MS);
    this.#pc?.poll();
  }

  get #pollMs(): number {
    const { backend } = this.#serial[0]!;
    const isPolled = this.#isPc || this.#serial.length > 1 || backend.poll ||
      this.memory.holes.length > 0;
    return isPolled ? Math.min(this.#nextPollMs, this.#pc?.dueInMs ?? Infinity) : Infinity;
  }

  #makeSerial(options: VirtualMachineOptions, interrupts: PcInterrupts | undefined): SerialPort[] {
    const backends = [...options.serial ?? []];
    backends[0] ??= sinkBackend(options.output ?? (() => {}));
    return COM_PORTS.flatMap(({ irq }, i) => {
      const backend = backends[i] ?? (interrupts && NULL_BACKEND);
      return backend ? [new SerialPort(backend, `uart${i}`, interrupts?.input(irq))] : [];
    });
  }

  #makePcDevices(options: VirtualMachineOptions, interrupts: PcInterrupts): PcDevices {
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
      ["debug-exit", new DebugExitPort((value) => this.stop({ kind: "debug_exit", value }))],
      ...this.#pc?.byName ?? [],
    ]);
  }
}

/**
 * A turn of the event loop: for signal handlers above all. Nothing cheaper than a
 * timer will do: a signal on its way may need more than one round.
 */
function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
