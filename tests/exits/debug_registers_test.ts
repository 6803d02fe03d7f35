import { assertEquals } from "@std/assert";
import { describeDr6, describeDr7 } from "../../src/exits/debug_registers.ts";

/** What DR6 reads as when no condition was met. */
const DR6_IDLE = 0xffff0ff0n;

Deno.test("an idle DR6 reports nothing", () => {
  assertEquals(describeDr6(DR6_IDLE), "none");
});

Deno.test("each flag of DR6 is named", () => {
  assertEquals(describeDr6(DR6_IDLE | 1n), "B0 breakpoint 0");
  assertEquals(describeDr6(DR6_IDLE | 0xan), "B1 breakpoint 1, B3 breakpoint 3");
  assertEquals(describeDr6(DR6_IDLE | 1n << 13n), "BD debug-register access");
  assertEquals(describeDr6(DR6_IDLE | 1n << 14n), "BS single step");
  assertEquals(describeDr6(DR6_IDLE | 1n << 15n), "BT task switch");
});

Deno.test("BLD and RTM are met when they are clear", () => {
  assertEquals(describeDr6(DR6_IDLE & ~(1n << 11n)), "BLD bus lock");
  assertEquals(describeDr6(DR6_IDLE & ~(1n << 16n)), "RTM transactional region");
});

Deno.test("a value without DR6's fixed ones is not taken for a bus lock", () => {
  assertEquals(describeDr6(0x4000n), "BS single step");
  assertEquals(describeDr6(0n), "none");
});

Deno.test("DR7 with nothing armed says so", () => {
  assertEquals(describeDr7(0x400n), "none");
});

Deno.test("an execution breakpoint has no length", () => {
  assertEquals(describeDr7(0x401n), "0 execute local");
});

Deno.test("data breakpoints have a kind, a length and a scope", () => {
  assertEquals(describeDr7(0x400n | 2n << 2n | 0xdn << 20n), "1 write length=4 global");
  assertEquals(describeDr7(0x400n | 3n << 6n | 0xbn << 28n), "3 access length=8 local+global");
  assertEquals(describeDr7(0x400n | 1n << 4n | 0x6n << 24n), "2 io length=2 local");
  assertEquals(describeDr7(0x400n | 1n << 4n | 0x1n << 24n), "2 write length=1 local");
});

Deno.test("several breakpoints and the guard are listed in order", () => {
  assertEquals(
    describeDr7(0x2400n | 5n | 0x100000n),
    "0 execute local, 1 write length=1 local, GD",
  );
});
