/**
 * The packages that the program is made of. `deno cache main.ts` ignores a package that it cannot
 * fetch when only a module that is loaded on first use imports it; of this module it says so.
 *
 * @module
 */

import "ajv/2020";
import "diff";
import "fastest-levenshtein";
import "iced-x86";
import "lz4-wasm-nodejs";
import "node-liblzma/wasm";
import "shlex";
import "toml-eslint-parser";
import "uplot";
