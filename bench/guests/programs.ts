/**
 * The programs that boot the guests: vmexit and its peers, machines of QEMU.
 *
 * @module
 */

import { isThere, output, VMEXIT } from "../process.ts";
import type { Boot } from "./cases.ts";

/** A program and its command line to boot an image. */
export interface Program {
  readonly name: string;
  readonly path: string;
  arguments(boot: Boot, memory: string): string[];
}

/** vmexit. */
export const OURS: Program = {
  name: "vmexit",
  path: VMEXIT,
  arguments: ({ image, append, initrd, cpus = 1, options = [] }, memory) => [
    ...["run", "--quiet", "--unclaimed", "ignore", "--memory", memory, "--cpus", `${cpus}`],
    ...options,
    ...optional("--append", append),
    ...optional("--initrd", initrd),
    image,
  ],
};

const QEMU = "qemu-system-x86_64";
/** QEMU's package. */
export const QEMU_PACKAGE = "qemu-system-x86";

const qemu = (machine: string): Program => ({
  name: `QEMU ${machine}`,
  path: QEMU,
  arguments: ({ image, append, initrd, cpus = 1 }, memory) => [
    ...["-machine", `${machine},accel=kvm`, "-m", memory, "-smp", `${cpus}`],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    // As in vmexit, the debug console and the serial port share an output.
    ...["-chardev", "stdio,id=out,mux=on,signal=off", "-serial", "chardev:out"],
    ...["-device", "isa-debugcon,iobase=0xe9,chardev=out"],
    ...["-device", "isa-debug-exit,iobase=0xf4,iosize=4"],
    ...optional("-append", append),
    ...optional("-initrd", initrd),
    ...["-kernel", image],
  ],
});

/** QEMU's machines. */
export const PEERS: readonly Program[] = [qemu("pc"), qemu("microvm")];

/** What QEMU prints when KVM's emulator fails; it then hangs. */
export const QEMU_STUCK = /KVM internal error/;

/**
 * Installs QEMU if it is missing and this user may.
 *
 * @throws {Error} what to install
 */
export async function requireQemu(): Promise<void> {
  if (await isQemuThere()) return;
  if (Deno.uid() !== 0) {
    throw new Error(`${QEMU} is missing; install the package ${QEMU_PACKAGE}`);
  }
  await output("apt-get", ["install", "--yes", "--no-install-recommends", QEMU_PACKAGE]);
}

/** Whether QEMU can be run. */
export function isQemuThere(): Promise<boolean> {
  return isThere(QEMU);
}

function optional(name: string, value: string | undefined): string[] {
  return value === undefined ? [] : [name, value];
}
