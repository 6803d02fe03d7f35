/**
 * The programs that boot the guests: vmexit and the machines of QEMU's that it is
 * measured beside.
 *
 * @module
 */

import { isThere, output, VMEXIT } from "../process.ts";
import type { Boot } from "./cases.ts";

/** A program and how it is told to boot something. */
export interface Program {
  readonly name: string;
  readonly path: string;
  arguments(boot: Boot, memory: string): string[];
}

/** Ours. */
export const OURS: Program = {
  name: "vmexit",
  path: VMEXIT,
  arguments: ({ image, append, initrd, options = [] }, memory) => [
    ...["run", "--quiet", "--unclaimed", "ignore", "--memory", memory, ...options],
    ...optional("--append", append),
    ...optional("--initrd", initrd),
    image,
  ],
};

const QEMU = "qemu-system-x86_64";

const qemu = (machine: string): Program => ({
  name: `QEMU ${machine}`,
  path: QEMU,
  arguments: ({ image, append, initrd }, memory) => [
    ...["-machine", `${machine},accel=kvm`, "-m", memory],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot"],
    ...["-device", "isa-debug-exit,iobase=0xf4,iosize=4"],
    ...optional("-append", append),
    ...optional("-initrd", initrd),
    ...["-kernel", image],
  ],
});

/** The machines of QEMU's. */
export const PEERS: readonly Program[] = [qemu("pc"), qemu("microvm")];

/** What QEMU says when KVM's emulator is at its end; it stops there and does not end. */
export const QEMU_STUCK = /KVM internal error/;

/**
 * Sees that QEMU is there, and installs it where that is allowed.
 *
 * @throws {Error} what to install
 */
export async function requireQemu(): Promise<void> {
  if (await isThere(QEMU)) return;
  if (Deno.uid() !== 0) {
    throw new Error(`${QEMU} is missing; install the package qemu-system-x86`);
  }
  await output("apt-get", ["install", "--yes", "--no-install-recommends", "qemu-system-x86"]);
}

function optional(name: string, value: string | undefined): string[] {
  return value === undefined ? [] : [name, value];
}
