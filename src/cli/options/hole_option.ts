/**
 * The value of `--hole`: `GPA+SIZE:KIND`, `GPA+SIZE:lazy:FILE`, `GPA+SIZE:gmem:lazy`.
 *
 * @module
 */

import { ImageError } from "../../boot/image.ts";
import { type Hole, HOLE_KINDS, holeParts, type PageSource } from "../../memory/hole.ts";
import { UsageError } from "./usage_error.ts";
import { parseAddress, parseChoice, parseSize } from "./values.ts";

/**
 * Reads a hole's description.
 *
 * @throws {UsageError} @throws {ImageError} when the file of a lazy hole cannot be opened
 */
export function parseHoleOption(text: string): Hole {
  const parts = holeParts(text);
  if (!parts) {
    throw new UsageError(`--hole: "${text}" is not a hole; write it as 0x200000+0x1000:none`);
  }
  const gpa = parseAddress("--hole", parts.gpa);
  if (gpa > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new UsageError(`--hole: ${parts.gpa} is beyond the RAM of any guest`);
  }
  const sizeBytes = parseSize("--hole", parts.size);
  const kind = parseChoice("--hole", parts.kind, HOLE_KINDS);
  const hole = { gpa: Number(gpa), sizeBytes, kind };
  const { more } = parts;
  if (more === undefined) return hole;
  if (kind === "lazy" && more !== "") return { ...hole, source: fileSource(more) };
  if (kind === "gmem" && more === "lazy") return { ...hole, rebind: true };
  throw new UsageError(`--hole: "${text}": ${kind} takes no argument, and ":${more}" is one`);
}

/** A file that is read page by page, as the guest needs it. */
function fileSource(path: string): PageSource {
  let file: Deno.FsFile;
  try {
    if (!Deno.statSync(path).isFile) {
      throw new ImageError(`--hole: ${path} is not a regular file, which a lazy hole needs`);
    }
    file = Deno.openSync(path);
  } catch (error) {
    if (error instanceof ImageError) throw error;
    const why = error instanceof Deno.errors.NotFound ? "does not exist" : "cannot be opened";
    throw new ImageError(`--hole: ${path} ${why}; name a file that may be read`);
  }
  return {
    name: path,
    read(offset, into) {
      file.seekSync(offset, Deno.SeekMode.Start);
      for (let done = 0; done < into.length;) {
        const read = file.readSync(into.subarray(done));
        if (read === null) return;
        done += read;
      }
    },
  };
}
