/**
 * The packages that decompress xz and lz4, in a separate module so that their
 * WebAssembly is loaded only when it is needed.
 *
 * @module
 */

export { decompress as unpackLz4Block } from "lz4-wasm-nodejs";
export { createUnxz, initModule } from "node-liblzma/wasm";
