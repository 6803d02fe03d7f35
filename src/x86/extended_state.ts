/**
 * The registers that XSAVE knows: vector and mask registers, and how large an XSAVE
 * area is. They decide what masked and gathering instructions access.
 * Source: SDM volume 1, chapter 13, "Managing State Using the XSAVE Feature Set".
 *
 * @module
 */

import type { Vcpu } from "../kvm/vcpu.ts";
import type { CpuidEntry } from "../kvm/counted.ts";

/** Where one state component is in an XSAVE area of the standard format. */
export interface XsaveComponent {
  readonly offset: number;
  readonly sizeBytes: number;
  /** Whether the compacted format aligns it to 64 bytes. */
  readonly aligned: boolean;
}

/** A vCPU's extended state. */
export interface ExtendedState {
  /** The state components that are enabled. */
  readonly xcr0: bigint;
  /** An XSAVE area of the standard format, as `KVM_GET_XSAVE` gives it. */
  readonly area: Uint8Array;
  /** State components by number, from 2 on. */
  readonly components: ReadonlyMap<number, XsaveComponent>;
}

/** The legacy region and the XSAVE header: every area has them. */
export const XSAVE_HEADER_END = 512 + 64;

const CPUID_XSAVE = 0xd;
/** State components by number (SDM volume 1, 13.1). */
const COMPONENT = { ymmHigh: 2, opmask: 5, zmmHigh: 6, highZmm: 7 } as const;
const XMM_OFFSET = 160;

/** Reads a vCPU's extended state. */
export function readExtendedState(
  vcpu: Pick<Vcpu, "cpuid2" | "xcr0" | "xsave">,
): ExtendedState {
  return { xcr0: vcpu.xcr0(), area: vcpu.xsave(), components: xsaveComponents(vcpu.cpuid2()) };
}

/** Reads the layout of the XSAVE area from CPUID leaf 0xd. */
export function xsaveComponents(cpuid: readonly CpuidEntry[]): Map<number, XsaveComponent> {
  const components = new Map<number, XsaveComponent>();
  for (const { function: leaf, index, eax, ebx, ecx } of cpuid) {
    if (leaf !== CPUID_XSAVE || index < 2 || eax === 0) continue;
    components.set(index, { offset: ebx, sizeBytes: eax, aligned: (ecx & 2) !== 0 });
  }
  return components;
}

/**
 * How many bytes XSAVE or XRSTOR accesses.
 *
 * @param enabled the state components that it transfers, by bit
 * @param compacted the format of XSAVEC and XSAVES
 */
export function xsaveBytes(
  components: ExtendedState["components"],
  enabled: bigint,
  compacted: boolean,
): number {
  let end = XSAVE_HEADER_END;
  for (const [number, { offset, sizeBytes, aligned }] of components) {
    if (!(enabled >> BigInt(number) & 1n)) continue;
    if (!compacted) end = Math.max(end, offset + sizeBytes);
    else end = (aligned ? Math.ceil(end / 64) * 64 : end) + sizeBytes;
  }
  return end;
}

/** A vector register's bytes by its name: `XMM3`, `ZMM17`. @returns `undefined` for other names */
export function vectorRegister(
  { area, components }: ExtendedState,
  name: string,
): Uint8Array | undefined {
  const match = /^([XYZ])MM(\d+)$/.exec(name);
  if (!match) return undefined;
  const sizeBytes = match[1] === "X" ? 16 : match[1] === "Y" ? 32 : 64;
  const number = Number(match[2]);
  const bytes = new Uint8Array(64);
  const put = (at: number, offset: number | undefined, size: number): void => {
    if (offset !== undefined) bytes.set(area.subarray(offset, offset + size), at);
  };
  const part = (component: number, index: number, size: number): number | undefined => {
    const base = components.get(component)?.offset;
    return base === undefined ? undefined : base + index * size;
  };
  if (number < 16) {
    put(0, XMM_OFFSET + 16 * number, 16);
    put(16, part(COMPONENT.ymmHigh, number, 16), 16);
    put(32, part(COMPONENT.zmmHigh, number, 32), 32);
  } else put(0, part(COMPONENT.highZmm, number - 16, 64), 64);
  return bytes.subarray(0, sizeBytes);
}

/** A mask register by its name: `K1`. */
export function maskRegister({ area, components }: ExtendedState, name: string): bigint {
  const base = components.get(COMPONENT.opmask)?.offset;
  const offset = (base ?? area.length) + 8 * Number(name.slice(1));
  if (offset + 8 > area.length) return 0n;
  return new DataView(area.buffer, area.byteOffset).getBigUint64(offset, true);
}
