/**
 * Writes docs/test.schema.json, from which editors complete test files:
 * `./dev schema`.
 *
 * @module
 */

import { RUN_DIALECT } from "../src/cli/commands/test.ts";
import { testFileSchema } from "../src/testing/schema.ts";

const schema = JSON.stringify(testFileSchema(RUN_DIALECT.options), null, 2);
Deno.writeTextFileSync(new URL("../docs/test.schema.json", import.meta.url), schema + "\n");
