import { assertEquals } from "@std/assert";
import {
  CR0,
  CR4,
  describeCr0,
  describeCr4,
  describeEfer,
  describeRflags,
  EFER,
} from "../../src/x86/control_registers.ts";

Deno.test("registers are described by the names of their set bits", () => {
  assertEquals(describeCr0(CR0.PE | CR0.PG | CR0.ET), "PE|ET|PG");
  assertEquals(describeCr4(CR4.PAE | CR4.LA57), "PAE|LA57");
  assertEquals(describeEfer(EFER.LME | EFER.LMA | EFER.NXE), "LME|LMA|NXE");
});

Deno.test("the reset value of CR0 is cache off, ET", () => {
  assertEquals(describeCr0(0x60000010n), "ET|NW|CD");
});

Deno.test("no bit set is 0, and bits without a name are given in hex", () => {
  assertEquals(describeCr4(0n), "0");
  assertEquals(describeCr0(0x41n), "PE|0x40");
});

Deno.test("RFLAGS leaves its fixed bit out and gives IOPL as a number", () => {
  assertEquals(describeRflags(0x2n), "0");
  assertEquals(describeRflags(0x246n), "PF|ZF|IF");
  assertEquals(describeRflags(0x3002n), "IOPL=3");
  assertEquals(describeRflags(0x2002n), "IOPL=2");
});
