/**
 * Writes the JSON Schemas in docs/: `./dev schema`. Editors complete test files by them, and readers
 * of traces validate records.
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
