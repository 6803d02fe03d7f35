/**
 * Wall time of a whole `vmexit run` of a guest that prints one line, compared with
 * `deno run` of an empty module: what a virtual machine costs on top of the runtime.
 *
 * @module
 */

import { measurePairs } from "./pairs.ts";
import { projectFile, VMEXIT, wallTimeMs } from "./process.ts";
import type { Row } from "./row.ts";

/** The row. @param folder where the empty module goes */
export function startUpRow(folder: string): Row {
  return {
    name: "run -q hello.elf",
    unit: "ms",
    target: { is: "at most", ratio: 2 },
    turns: 21,
    peers: ["Deno, an empty module"],
    async measure(turns) {
      const empty = `${folder}/empty.ts`;
      await Deno.writeTextFile(empty, "");
      return [
        await measurePairs(
          turns,
          () => wallTimeMs(VMEXIT, ["run", "-q", projectFile("images/hello.elf")]),
          () => wallTimeMs(Deno.execPath(), ["run", empty]),
        ),
      ];
    },
  };
}
