/**
 * Names the resource that the host has run out of when it refuses memory.
 *
 * @module
 */

import { readHostFile } from "../../ffi/host_file.ts";
import type { SystemError } from "../../ffi/libc.ts";

const MAX_MAPS_BYTES = 64 << 20;
/** So few mappings short of the limit, a call that needs two or three of them fails. */
const NEAR = 8;

/**
 * Says which limit a refusal met: the number of the process's mappings, where that is it.
 *
 * @param error an ENOMEM
 */
export function describeRefusal({ message }: SystemError): string {
  try {
    const maps = new TextDecoder().decode(readHostFile("/proc/self/maps", MAX_MAPS_BYTES));
    const count = maps.split("\n").length - 1;
    const most = Number(
      new TextDecoder().decode(readHostFile("/proc/sys/vm/max_map_count", 64)),
    );
    if (count >= most - NEAR) {
      return `${message}: ${count} mappings, and vm.max_map_count is ${most}`;
    }
  } catch {
    // Without /proc the call's own words must do.
  }
  return message;
}
