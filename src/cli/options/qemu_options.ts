/**
 * Options of QEMU that users try, and vmexit's equivalents.
 *
 * @module
 */

const NO_NEED = "vmexit needs no such option";

/** By QEMU's name, without its dash: what to do instead. */
const HINTS: Readonly<Record<string, string>> = {
  kernel: "give the image as the operand: vmexit run IMAGE",
  initrd: "vmexit has --initrd FILE",
  append: "vmexit has --append STRING",
  smp: "vmexit has --cpus N",
  cpu: "vmexit has --cpu FEATURES",
  machine: "vmexit has --machine TYPE: auto, bare or pc",
  M: "vmexit has --machine TYPE: auto, bare or pc",
  serial: "vmexit has --com1 to --com4; COM1 is stdio unless told otherwise",
  chardev: "vmexit has --com1 to --com4 BACKEND",
  debugcon: "the debug console at port 0xe9 goes to stdout",
  fw_cfg: "vmexit has --fw-cfg NAME,file=PATH",
  nographic: `${NO_NEED}: COM1 is stdio, and there is no display`,
  display: `${NO_NEED}: COM1 is stdio, and there is no display`,
  vga: "vmexit has no display",
  "enable-kvm": `${NO_NEED}: it always uses KVM`,
  accel: `${NO_NEED}: it always uses KVM`,
  "no-reboot": `${NO_NEED}: a reset ends the run`,
  nodefaults: `${NO_NEED}: there are no devices to leave out`,
  monitor: "vmexit has no monitor; --trace, --verbose and vmexit inspect show a guest's state",
  device: "vmexit's devices are fixed; --machine pc has those of a small PC",
  netdev: "vmexit has no network",
  nic: "vmexit has no network",
  drive: "vmexit has no disks; --initrd hands files to a kernel",
  hda: "vmexit has no disks; a boot sector is an image: vmexit run IMAGE",
  cdrom: "vmexit has no disks; --initrd hands files to a kernel",
  bios: "vmexit has no firmware to replace; it starts the image itself",
};

/**
 * What to do instead of an option of QEMU.
 *
 * @param word what was typed, with its dashes
 *
 * @example
 * ```ts
 * import { qemuHint } from "./qemu_options.ts";
 * console.log(qemuHint("-smp")); // "-smp is an option of QEMU; vmexit has --cpus N"
 * ```
 */
export function qemuHint(word: string): string | undefined {
  const name = word.replace(/^--?/, "");
  const hint = name !== word && Object.hasOwn(HINTS, name) ? HINTS[name] : undefined;
  return hint === undefined ? undefined : `${word} is an option of QEMU; ${hint}`;
}
