/**
 * The smoke tests of tests/smoke/, run by `vmexit test`: each is reported here by
 * its name.
 *
 * @module
 */

import { assert } from "@std/assert";
import { RUN_DIALECT } from "../src/cli/options/test_dialect.ts";
import { testFileReader } from "../src/testing/test_file.ts";
import { kvmTest } from "./lib/kvm.ts";
import { linesOf, PROJECT, VMEXIT } from "./lib/vmexit.ts";

const FOLDER = `${PROJECT}tests/smoke`;

/** What is asked of a record of `--format json`. */
interface TestRecord {
  readonly name: string;
  readonly status: string;
  readonly failures: readonly unknown[];
}

async function runAll(): Promise<ReadonlyMap<string, TestRecord>> {
  const { stdout } = await new Deno.Command(VMEXIT, {
    args: ["test", "--format", "json", FOLDER],
    stdin: "null",
  }).output();
  const records = linesOf(new TextDecoder().decode(stdout)).map((line) => JSON.parse(line));
  return new Map(records.map((record) => [record.name, record]));
}

let results: ReturnType<typeof runAll> | undefined;
const read = testFileReader(RUN_DIALECT);
for (const { name: file } of Deno.readDirSync(FOLDER)) {
  if (!file.endsWith(".toml")) continue;
  for (const { name } of await read(file, Deno.readTextFileSync(`${FOLDER}/${file}`))) {
    kvmTest(`${file}: ${name}`, async () => {
      const record = (await (results ??= runAll())).get(name);
      const isGood = record?.status === "passed" || record?.status === "skipped";
      assert(isGood, JSON.stringify(record, null, 2));
    });
  }
}
