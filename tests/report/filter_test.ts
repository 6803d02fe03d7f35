import { assertEquals, assertThrows } from "@std/assert";
import { wholeRange } from "../../src/report/aggregate.ts";
import { FilterError, parseFilter, selectRows } from "../../src/report/page/filter.ts";
import { exit, mmio, out, preparedOf } from "./trace_lines.ts";

const PREPARED = await preparedOf(
  out(1, 1000, 0x3f8, "48"),
  out(2, 2000, 0x80, "00", ""),
  mmio(3, 3000, "0xfee00010"),
  { ...exit({ n: 4, t_us: 4000, rip: "0xffffffffffffffff" }), cpu: 1 },
  exit({
    n: 5,
    t_us: 9000,
    reason: "X86_RDMSR",
    code: 29,
    x86_rdmsr: { index: 0x1b, name: "IA32_APIC_BASE", why: 1, error: 1 },
  }),
);

/** The numbers of the exits that a filter selects. */
function selected(text: string, range = wholeRange(PREPARED.rows)): number[] {
  const rows = selectRows(PREPARED, range, parseFilter(text, PREPARED));
  return Array.from(rows, (row) => PREPARED.rows.n[row]!);
}

for (
  const [filter, numbers] of [
    ["", [1, 2, 3, 4, 5]],
    ["IO", [1, 2, 3]], // MMIO has it in its name
    ["reason=io", [1, 2]],
    ["reason:IO,hlt", [1, 2, 4]],
    ["uart", [1]],
    ["com1", [1]],
    ["out", [1, 2]],
    ["dir=read", [3]],
    ["dev=uart0", [1]],
    ["port=0x3f8", [1]],
    ["port=128", [2]],
    ["port=0..0x3ff", [1, 2]],
    ["gpa=0xfee00000..0xfee00fff", [3]],
    ["gpa=0x10..0x20", []],
    ["msr=0x1b", [5]],
    ["apic_base", [5]],
    ["rip=0xffffffff00000000..", [3, 4]],
    ["cpu=1", [4]],
    ["n=2..3", [2, 3]],
    ["t=..2ms", [1, 2]],
    ["t=2000us..3ms", [2, 3]],
    ["gap=2ms..", [5]],
    ["data=48", [1]],
    ["data=ffff", [3]],
    ["-reason=io", [3, 4, 5]],
    ["!out -hlt", [3, 5]],
    ["  io   data=00 ", [2]],
    ["nothing", []],
  ] as const
) {
  Deno.test(`the filter "${filter}" selects ${numbers.join(", ") || "nothing"}`, () => {
    assertEquals(selected(filter), [...numbers]);
  });
}

for (
  const [filter, problem] of [
    ["prot=1", 'no key "prot"'],
    ["port=", "needs a value"],
    ["port=com1", '"com1" is not a number'],
    ["t=5", '"5" is not a time'],
    ["data=4", "two hexadecimal digits"],
    ["rip=0x11112222333344445", "is not a number"],
  ] as const
) {
  Deno.test(`the filter "${filter}" is refused in words`, () => {
    assertThrows(() => parseFilter(filter, PREPARED), FilterError, problem);
  });
}

Deno.test("a range of time has its start and not its end", () => {
  assertEquals(selected("", { from: 20_000, to: 40_000 }), [2, 3]);
});
