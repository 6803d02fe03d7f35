/**
 * The value of `--fw-cfg`: `NAME,file=PATH` or `NAME,string=TEXT`.
 *
 * @module
 */

import type { FwCfgFile } from "../../firmware/fw_cfg_items.ts";
import { readImageFile } from "../image_file.ts";
import { UsageError } from "./usage_error.ts";

/**
 * Reads a file for the guest, and the name under which it finds it.
 *
 * @throws {UsageError} @throws {ImageError} when the file cannot be read
 *
 * @example
 * ```ts
 * import { parseFwCfg } from "./fw_cfg_option.ts";
 * console.log(parseFwCfg("opt/answer,string=42").bytes); // Uint8Array [52, 50]
 * ```
 */
export function parseFwCfg(text: string): FwCfgFile {
  const match = /^([^,]+),(file|string)=(.*)$/s.exec(text);
  if (!match) {
    throw new UsageError(
      `--fw-cfg: "${text}" is not a file for fw_cfg; write it as opt/name,file=PATH or opt/name,string=TEXT`,
    );
  }
  const [, name, kind, value] = match as unknown as [string, string, string, string];
  const bytes = kind === "file" ? readImageFile(value) : new TextEncoder().encode(value);
  return { name, bytes };
}
