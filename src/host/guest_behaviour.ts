/**
 * Where some KVMs differ from a processor: tiny guests try it out.
 *
 * @module
 */

import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import { planFlat } from "../boot/flat.ts";
import { ThreadAlarm } from "../kvm/alarm.ts";
import { RunResult } from "../kvm/run_result.ts";
import { VirtualMachine } from "../machine/machine.ts";
import { PAGE_BYTES } from "../pages.ts";

/** What a mode of paging does when it is switched on; `other` where the guest ends unexpectedly. */
export type PagingResult = "works" | "triple_fault" | "other";

/** How this host's KVM behaves where KVMs differ. */
export interface GuestBehaviour {
  /** 32-bit paging: two levels, 4-byte entries (SDM volume 3A, 4.3). */
  readonly paging32: PagingResult;
  /** PAE paging: three levels, 8-byte entries (SDM volume 3A, 4.4). */
  readonly pagingPae: PagingResult;
  /** What KVM leaves of the vCPU after a triple fault: on AMD it resets it. */
  readonly shutdownState: "kept" | "reset";
}

const MEMORY_BYTES = 2 << 20;
/** Where flat 32-bit images are loaded. */
const BASE = 0x10_0000;
const DIRECTORY = BASE + PAGE_BYTES;
const POINTERS = BASE + 2 * PAGE_BYTES;
/** A large page at 0: present, writable, PS. */
const LARGE_PAGE = 0x83;
const CR4 = { PSE: 1 << 4, PAE: 1 << 5 };
/** A guest that takes longer has failed. */
const LIMIT_MS = 1000;
/** UD2: an exception without an IDT, and so a triple fault. */
const UD2 = [0x0f, 0x0b];

/**
 * Tries it out, in a few milliseconds.
 *
 * @param kvmPath the KVM device
 * @throws {Error} when the guests do not run
 *
 * @example
 * ```ts
 * import { checkBehaviour } from "./guest_behaviour.ts";
 * console.log(checkBehaviour().paging32);
 * ```
 */
export function checkBehaviour(kvmPath?: string): GuestBehaviour {
  return {
    paging32: tryPaging(DIRECTORY, CR4.PSE, kvmPath),
    pagingPae: tryPaging(POINTERS, CR4.PAE, kvmPath),
    shutdownState: runGuest(new Uint8Array(UD2), kvmPath).rip === BigInt(BASE) ? "kept" : "reset",
  };
}

function tryPaging(cr3: number, cr4: number, kvmPath: string | undefined): PagingResult {
  switch (runGuest(pagingGuest(cr3, cr4), kvmPath).reason) {
    case KVM_EXIT.IO:
      return "works";
    case KVM_EXIT.SHUTDOWN:
      return "triple_fault";
    default:
      return "other";
  }
}

/**
 * The guest, with a page directory and PAE's page-directory-pointer table in the pages after it.
 *
 *     mov eax, CR3
 *     mov cr3, eax
 *     mov eax, cr4
 *     or eax, CR4
 *     mov cr4, eax
 *     mov eax, cr0
 *     or eax, 0x80000000    ; PG
 *     mov cr0, eax
 *     out 0x80, al
 */
function pagingGuest(cr3: number, cr4: number): Uint8Array {
  const image = new Uint8Array(3 * PAGE_BYTES);
  image.set([
    ...[0xb8, ...littleEndian(cr3)],
    ...[0x0f, 0x22, 0xd8],
    ...[0x0f, 0x20, 0xe0],
    ...[0x83, 0xc8, cr4],
    ...[0x0f, 0x22, 0xe0],
    ...[0x0f, 0x20, 0xc0],
    ...[0x0d, ...littleEndian(0x8000_0000)],
    ...[0x0f, 0x22, 0xc0],
    ...[0xe6, 0x80],
  ]);
  image.set(littleEndian(LARGE_PAGE), DIRECTORY - BASE);
  image.set(littleEndian(DIRECTORY | 1), POINTERS - BASE);
  return image;
}

function littleEndian(value: number): number[] {
  return [0, 8, 16, 24].map((shift) => value >>> shift & 0xff);
}

/** Runs a guest in protected mode up to its first exit. */
function runGuest(
  code: Uint8Array,
  kvmPath: string | undefined,
): { reason: number; rip: bigint } {
  using machine = new VirtualMachine({
    memoryBytes: MEMORY_BYTES,
    ...(kvmPath === undefined ? {} : { kvmPath }),
  });
  using alarm = new ThreadAlarm();
  machine.boot(planFlat(code, "flat32", { ram: machine.memory.ranges }));
  alarm.arm(LIMIT_MS);
  const result = machine.vcpu.run();
  if (alarm.disarm() || result !== RunResult.exit) {
    throw new Error(`a guest of 32 bits did not run: errno ${machine.vcpu.cycle.errno}`);
  }
  return { reason: machine.vcpu.page.reason, rip: machine.vcpu.regs().rip };
}
