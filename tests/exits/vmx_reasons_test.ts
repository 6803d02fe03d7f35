import { assertEquals } from "@std/assert";
import { hardwareReasonName, svmReasonName, vmxReasonName } from "../../src/exits/vmx_reasons.ts";

const MINUS_ONE = 0xffff_ffff_ffff_ffffn;

Deno.test("VMX basic exit reasons are named at both ends of each run of numbers", () => {
  const expected: [bigint, string | undefined][] = [
    [0n, "EXCEPTION_NMI"],
    [2n, "TRIPLE_FAULT"],
    [12n, "HLT"],
    [17n, "RSM"],
    [18n, "VMCALL"],
    [27n, "VMXON"],
    [28n, "CR_ACCESS"],
    [30n, "IO_INSTRUCTION"],
    [34n, "MSR_LOAD_FAIL"],
    [35n, undefined],
    [37n, "MONITOR_TRAP_FLAG"],
    [38n, undefined],
    [41n, "MCE_DURING_VMENTRY"],
    [42n, undefined],
    [48n, "EPT_VIOLATION"],
    [49n, "EPT_MISCONFIG"],
    [59n, "VMFUNC"],
    [60n, "ENCLS"],
    [64n, "XRSTORS"],
    [70n, "ENCLV"],
    [71n, undefined],
    [74n, "BUS_LOCK"],
    [77n, "TDCALL"],
    [81n, "UWRMSR"],
    [85n, "MSR_WRITE_IMM"],
    [86n, undefined],
  ];
  for (const [reason, name] of expected) assertEquals(vmxReasonName(reason), name, `${reason}`);
});

Deno.test("the flags above a VMX basic reason are spelled out", () => {
  assertEquals(vmxReasonName(0x80000021n), "INVALID_STATE (entry failure)");
  assertEquals(vmxReasonName(0x0400_001en), "IO_INSTRUCTION (bus lock)");
  assertEquals(vmxReasonName(0x2800_000cn), "HLT (in enclave, from VMX root)");
});

Deno.test("a VMX reason with a flag that means nothing is not named", () => {
  assertEquals(vmxReasonName(0x4000_0021n), undefined);
  assertEquals(vmxReasonName(1n << 32n), undefined);
});

Deno.test("SVM exit codes are named", () => {
  const expected: [bigint, string | undefined][] = [
    [0x00n, "READ_CR0"],
    [0x18n, "WRITE_CR8"],
    [0x27n, "READ_DR7"],
    [0x37n, "WRITE_DR7"],
    [0x4en, "EXCP #PF page fault"],
    [0x4fn, "EXCP vector 15"],
    [0x60n, "INTR"],
    [0x69n, "TR_READ"],
    [0x6an, "IDTR_WRITE"],
    [0x75n, "SWINT"],
    [0x7bn, "IOIO"],
    [0x7fn, "SHUTDOWN"],
    [0x81n, "VMMCALL"],
    [0x8bn, "MWAIT"],
    [0x8fn, "EFER_WRITE_TRAP"],
    [0x90n, "CR0_WRITE_TRAP"],
    [0x9fn, "CR15_WRITE_TRAP"],
    [0xa2n, "INVPCID"],
    [0xa7n, undefined],
    [0x400n, "NPF"],
    [0x403n, "VMGEXIT"],
    [0x404n, undefined],
  ];
  for (const [code, name] of expected) assertEquals(svmReasonName(code), name, code.toString(16));
});

Deno.test("SVM's invalid state is known as a 32-bit and as a 64-bit -1", () => {
  assertEquals(svmReasonName(0xffff_ffffn), "INVALID (invalid guest state)");
  assertEquals(svmReasonName(MINUS_ONE), "INVALID (invalid guest state)");
});

Deno.test("on a failed entry, bit 31 marks a VMX reason and -1 SVM", () => {
  assertEquals(hardwareReasonName(0x80000021n), "VMX INVALID_STATE (entry failure)");
  assertEquals(hardwareReasonName(0x80000022n), "VMX MSR_LOAD_FAIL (entry failure)");
  assertEquals(hardwareReasonName(0xffff_ffffn), "SVM INVALID (invalid guest state)");
});

Deno.test("on a failed entry, a small number is a VM-instruction error", () => {
  assertEquals(
    hardwareReasonName(8n),
    "VM-instruction error 8 (VM entry: invalid host-state field)",
  );
});

Deno.test("on an unexpected exit, a small number is an exit reason of either vendor", () => {
  assertEquals(hardwareReasonName(0x1en, "exit"), "VMX IO_INSTRUCTION or SVM WRITE_CR14");
  assertEquals(hardwareReasonName(0x400n, "exit"), "SVM NPF");
  assertEquals(hardwareReasonName(0x7fn, "exit"), "SVM SHUTDOWN");
});

Deno.test("a value that means nothing on any hardware has no name", () => {
  assertEquals(hardwareReasonName(0x1234_5678_9abcn), undefined);
  assertEquals(hardwareReasonName(0xdeadn, "exit"), undefined);
});
