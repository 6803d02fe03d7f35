/**
 * Probes the host page behind a guest page, without an access that could raise a
 * signal.
 *
 * @module
 */

import { EINVAL, ENOSYS, EPERM } from "../../ffi/errno.ts";
import { readHostFile } from "../../ffi/host_file.ts";
import { MADV, tryMadvise } from "../../ffi/memory.ts";
import { copyFromSelf, copyToSelf } from "../../ffi/self_copy.ts";
import { PAGE_BYTES } from "../pages.ts";

/** What a probe found. */
export interface HostPageState {
  /** Whether the access would work. */
  readonly usable: boolean;
  /** The state as text: `PROT_NONE`, `unmapped`, `past the end of its file`. */
  readonly text: string;
}

const USABLE: HostPageState = { usable: true, text: "mapped" };

/**
 * Whether the host page at an address can be read, or written.
 *
 * `MADV_POPULATE_READ` and `_WRITE` fault the page in as an access would, and
 * return an errno where the access would raise a signal. Kernels before 5.14 do not
 * know them, and sandboxes may refuse them: there a byte of the page is copied, and
 * for a write copied back onto itself.
 *
 * @param hva a page-aligned host virtual address
 * @param known the state as text if it is bad; else it is read from the process's memory map
 */
export function probeHostPage(hva: bigint, forWrite: boolean, known?: string): HostPageState {
  const advice = forWrite ? MADV.POPULATE_WRITE : MADV.POPULATE_READ;
  const errno = tryMadvise(hva, PAGE_BYTES, advice);
  if (errno === 0) return USABLE;
  const isUndecided = errno === EINVAL || errno === EPERM || errno === ENOSYS;
  if (isUndecided && probeByCopy(hva, forWrite)) return USABLE;
  return { usable: false, text: known ?? describeMapping(hva) };
}

function probeByCopy(hva: bigint, forWrite: boolean): boolean {
  const byte = new Uint8Array(1);
  if (copyFromSelf(hva, byte) !== 1) return false;
  return !forWrite || copyToSelf(hva, byte) === 1;
}

/** The longest memory map that is read. */
const MAX_MAPS_BYTES = 16 << 20;

/** An address's state as text, by the process's memory map. */
function describeMapping(hva: bigint): string {
  const maps = readHostFile("/proc/self/maps", MAX_MAPS_BYTES);
  for (const line of new TextDecoder().decode(maps).split("\n")) {
    const match = /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+)/.exec(line);
    if (!match || hva < BigInt(`0x${match[1]}`) || hva >= BigInt(`0x${match[2]}`)) continue;
    const [rights, inode] = [match[3]!, match[4]!];
    if (!rights.startsWith("r")) return "PROT_NONE";
    if (rights[1] !== "w") return "PROT_READ";
    return inode === "0" ? "mapped, but not usable" : "past the end of its file";
  }
  return "unmapped";
}
