import { assert, assertEquals, assertThrows } from "@std/assert";
import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import { parseTraceSpec, TRACE_CLASSES, traceNames, TraceSpecError } from "../../src/trace/spec.ts";

/** The reasons that a specification shows. */
function shown(spec: string): string[] {
  const mask = parseTraceSpec(spec);
  return Object.entries(KVM_EXIT).filter(([, code]) => mask[code]).map(([name]) => name);
}

Deno.test("all shows every exit, those without a name too, and none shows none", () => {
  assert(parseTraceSpec("all").every((wanted) => wanted !== 0));
  assert(parseTraceSpec("none").every((wanted) => wanted === 0));
});

Deno.test("reasons and classes are named in any case, with or without spaces", () => {
  assertEquals(shown("hlt"), ["HLT"]);
  assertEquals(shown("HLT, x86_rdmsr"), ["HLT", "X86_RDMSR"]);
  assertEquals(shown("Msr"), ["X86_RDMSR", "X86_WRMSR"]);
  assertEquals(shown("io,hlt"), ["IO", "HLT", "MMIO"]);
});

Deno.test("parts are read from left to right", () => {
  assertEquals(shown("all,none,hlt"), ["HLT"]);
  assertEquals(shown("hlt,none"), []);
});

Deno.test("every name and class is understood, and shows what it says", () => {
  for (const name of traceNames()) parseTraceSpec(name);
  for (const name of Object.keys(KVM_EXIT)) {
    if (!(name.toLowerCase() in TRACE_CLASSES)) assertEquals(shown(name), [name]);
  }
  for (const [name, reasons] of Object.entries(TRACE_CLASSES)) {
    assertEquals(shown(name).sort(), [...reasons].sort());
  }
});

Deno.test("an unknown name is an error that quotes it", () => {
  for (
    const [spec, given] of [["hltt", "hltt"], ["hlt,", ""], ["hlt, nope ,io", "nope"], ["", ""]]
  ) {
    const error = assertThrows(() => parseTraceSpec(spec!), TraceSpecError);
    assertEquals(error.given, given);
  }
});

Deno.test("names of an object's own are no names", () => {
  for (const name of ["constructor", "__proto__", "toString"]) {
    assertThrows(() => parseTraceSpec(name), TraceSpecError);
  }
});
