/**
 * Writes the JSON Schemas of docs/, from which editors complete test files and readers of traces
 * learn what is in them: `./dev schema`.
 *
 * @module
 */

import { RUN_DIALECT } from "../src/cli/options/test_dialect.ts";
import { testFileSchema } from "../src/testing/schema.ts";
import { traceSchema } from "../src/trace/schema.ts";

const SCHEMAS = {
  "test.schema.json": testFileSchema(RUN_DIALECT.options),
  "trace.schema.json": traceSchema(),
};

for (const [name, schema] of Object.entries(SCHEMAS)) {
  const path = new URL(`../docs/${name}`, import.meta.url);
  Deno.writeTextFileSync(path, JSON.stringify(schema));
}
