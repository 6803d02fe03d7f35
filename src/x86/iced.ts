/**
 * The instruction decoder's package, in a module of its own: the launcher's
 * bundle leaves this one out, so that its WebAssembly is loaded when it is needed.
 *
 * @module
 */

export * from "iced-x86";
