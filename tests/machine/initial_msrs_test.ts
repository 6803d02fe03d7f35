import { assertEquals } from "@std/assert";
import { firmwareMsrs, setFirmwareMsrs } from "../../src/machine/initial_msrs.ts";
import { code } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";
import { TestMachine, traced } from "../lib/machine.ts";

const IA32_MISC_ENABLE = 0x1a0;
const IA32_PAT = 0x277;
const IA32_MTRR_DEF_TYPE = 0x2ff;
/** The memory types of PAT's entries at reset (SDM volume 3A, 12.12.4). */
const PAT_AT_RESET = 0x0007_0406_0007_0406n;

Deno.test("MTRRs are turned on with write-back memory, fast strings are on", () => {
  const reset = [{ index: IA32_MTRR_DEF_TYPE, data: 0n }, { index: IA32_MISC_ENABLE, data: 0n }];
  assertEquals(firmwareMsrs(reset), [
    { index: IA32_MTRR_DEF_TYPE, data: 0x806n },
    { index: IA32_MISC_ENABLE, data: 1n },
  ]);
});

Deno.test("what else a register says stays, and the fixed-range MTRRs go off", () => {
  const present = [
    { index: IA32_MTRR_DEF_TYPE, data: 0xc01n },
    { index: IA32_MISC_ENABLE, data: 0x1800n },
  ];
  assertEquals(firmwareMsrs(present).map(({ data }) => data), [0x806n, 0x1801n]);
});

Deno.test("a register is not set if it has the value already, or KVM lacks it", () => {
  const asWanted = [{ index: IA32_MISC_ENABLE, data: 1n }, {
    index: IA32_MTRR_DEF_TYPE,
    data: 0x806n,
  }];
  assertEquals(firmwareMsrs(asWanted), []);
  const setMsrs = (): never => {
    throw new Error("there is nothing to set");
  };
  setFirmwareMsrs({ msrs: () => [], setMsrs });
  setFirmwareMsrs({ msrs: () => asWanted, setMsrs });
});

kvmTest(
  "a PC starts with the registers as firmware leaves them, a bare machine as reset does",
  () => {
    const indices = [IA32_MTRR_DEF_TYPE, IA32_PAT];
    const values = (type: "pc" | "bare"): bigint[] => {
      using test = new TestMachine("hello.bin64", { type });
      return test.machine.vcpu.msrs(indices).map(({ data }) => data);
    };
    assertEquals(values("pc"), [0x806n, PAT_AT_RESET]);
    assertEquals(values("bare"), [0n, PAT_AT_RESET]);
  },
);

kvmTest("a PC's guest reads them", async () => {
  // mov ecx, 0x2ff; rdmsr; mov edx, 0xe9; out dx, al; mov al, ah; out dx, al; out 0xf4, al
  const listing = "b9 ff 02 00 00 0f 32 ba e9 00 00 00 ee 88 e0 ee e6 f4";
  const { output } = await traced(code(listing), { type: "pc", protocol: "flat64" });
  assertEquals(output, "\x06\x08");
});
