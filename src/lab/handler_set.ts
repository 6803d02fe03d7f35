/**
 * The handlers that an experiment has registered. They outlast the machine that they are
 * registered with, which `load()` may replace by a new one.
 *
 * @module
 */

import { KVM_EXIT, X86_VECTOR } from "../../ffi/kvm_consts.ts";
import { decodeExit } from "../exits/decode.ts";
import type { HypercallExit } from "../exits/exit.ts";
import type { MemoryFault } from "../faults/fault.ts";
import type { FaultAction } from "../faults/resolve.ts";
import { hex } from "../hex.ts";
import { missingCapability } from "../kvm/unavailable.ts";
import { decodeDebugExit } from "../machine/guest_debug.ts";
import { MAP_GPA_RANGE_MASK } from "../machine/hypercall.ts";
import type { VirtualMachine } from "../machine/machine.ts";
import type { GuestMemory } from "../memory/guest_memory.ts";
import { type Address, type NumericRange, toRange } from "./address.ts";
import type { ExitHandler } from "./exit_server.ts";
import {
  type AccessHandler,
  type AddressRange,
  type DebugHandler,
  HandlerDevice,
  type HypercallHandler,
  type MemoryFaultHandler,
  MsrHandlers,
} from "./handlers.ts";
import { readableFault } from "./readable.ts";
import type { LiveVcpu } from "./vcpu.ts";

/** Vectors of the exceptions that KVM can give to user space. */
const REPORTED: readonly number[] = [X86_VECTOR.DB, X86_VECTOR.BP];

/** How many I/O ports there are. */
const PORTS = 0x1_0000;
/** No x86 processor has more physical address bits than 52. */
const GPAS = 2 ** 52;

/** All handlers of an experiment. */
export class HandlerSet {
  readonly msrs: MsrHandlers;
  readonly #plugged: ((machine: VirtualMachine) => void)[] = [];
  readonly #debug = new Map<number, DebugHandler>();
  #hypercall: HypercallHandler | undefined;
  #memoryFault: MemoryFaultHandler | undefined;

  /** @param vcpus may be filled later */
  constructor(vcpus: readonly LiveVcpu[]) {
    this.msrs = new MsrHandlers(vcpus);
  }

  /** By exit reason: the handlers that come before the devices. */
  readonly byReason: ReadonlyMap<number, ExitHandler> = new Map([
    [KVM_EXIT.DEBUG, (vcpu) => this.#debugged(vcpu)],
    [KVM_EXIT.HYPERCALL, (vcpu) => this.#called(vcpu)],
    [KVM_EXIT.IRQ_WINDOW_OPEN, (vcpu) => {
      vcpu.openWindow();
      return true;
    }],
  ]);

  /** Asks the handler of memory faults. */
  readonly decide = (fault: MemoryFault): FaultAction | undefined =>
    this.#memoryFault?.(readableFault(fault)) ?? undefined;

  /** Registers everything with a new machine. */
  plugInto(machine: VirtualMachine): void {
    for (const plug of this.#plugged) plug(machine);
  }

  onPort(machine: VirtualMachine, range: Address | AddressRange, handler: AccessHandler): void {
    const ports = toRange("onPort", range, "ports", PORTS);
    const device = new HandlerDevice("onPort", ports.start, handler);
    this.#plug(machine, ({ ports: bus }) => bus.replace(ports, device));
  }

  onMmio(machine: VirtualMachine, range: Address | AddressRange, handler: AccessHandler): void {
    const gpas = toRange("onMmio", range, "addresses", GPAS);
    requireNoRam(machine.memory, gpas);
    const device = new HandlerDevice("onMmio", gpas.start, handler);
    this.#plug(machine, ({ mmio }) => mmio.replace(gpas, device));
  }

  onHypercall(machine: VirtualMachine, handler: HypercallHandler): void {
    const { vm } = machine;
    if ((BigInt(vm.checkExtension("EXIT_HYPERCALL")) & MAP_GPA_RANGE_MASK) === 0n) {
      throw missingCapability("EXIT_HYPERCALL", { what: "api", name: "onHypercall" });
    }
    this.#plug(machine, ({ vm }) => vm.enableCap("EXIT_HYPERCALL", MAP_GPA_RANGE_MASK));
    this.#hypercall = handler;
  }

  onMemoryFault(handler: MemoryFaultHandler): void {
    this.#memoryFault = handler;
  }

  onException(vcpus: readonly LiveVcpu[], vector: number, handler: DebugHandler): void {
    if (!REPORTED.includes(vector)) {
      throw new RangeError(`KVM reports #DB (1) and #BP (3) to user space, not vector ${vector}`);
    }
    this.#debug.set(vector, handler);
    if (vector !== X86_VECTOR.BP) return;
    for (const vcpu of vcpus) vcpu.debug({ trapInt3: true });
  }

  #plug(machine: VirtualMachine, plug: (machine: VirtualMachine) => void): void {
    plug(machine);
    this.#plugged.push(plug);
  }

  #debugged(vcpu: LiveVcpu): boolean {
    const exit = decodeDebugExit(vcpu.context.vcpu.page);
    const handler = this.#debug.get(exit.vector);
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
    const answer = this.#hypercall?.(decodeExit(page) as HypercallExit, vcpu);
    if (answer === undefined) return false;
    page.replyHypercall(BigInt(answer));
    return true;
  }
}

/** @throws {RangeError} where an access would not exit: RAM serves it */
function requireNoRam({ slots }: Pick<GuestMemory, "slots">, { start, size }: NumericRange): void {
  const slot = slots.find(({ gpa, sizeBytes, kind }) =>
    kind !== "rom" && start < gpa + sizeBytes && gpa < start + size
  );
  if (!slot) return;
  const text = `[${hex(start)}, +${hex(size)})`;
  const ram = `${hex(slot.gpa)}..${hex(slot.gpa + slot.sizeBytes)}`;
  throw new RangeError(
    `onMmio: ${text} is in RAM (${ram}), where accesses do not exit; make a hole of the kind ` +
      `noslot there first: Machine.create({ holes: ["0x…+4K:noslot"] })`,
  );
}
