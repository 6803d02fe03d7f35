/**
 * Accesses to MSRs that KVM leaves to the VMM, on real KVM.
 *
 * @module
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { KVM_EXIT, KVM_MSR_EXIT_REASON } from "../../ffi/kvm_consts.ts";
import { ExitPage } from "../../src/kvm/exit_page.ts";
import { KvmUnavailableError } from "../../src/kvm/unavailable.ts";
import { enableMsrExits, type MsrDevice, NO_MSRS, serveMsr } from "../../src/machine/msr.ts";
import { kvmRun } from "../exits/samples.ts";
import { kvmTest } from "../lib/kvm.ts";
import { type Trace, traced } from "../lib/machine.ts";

const IA32_EFER = 0xc000_0080;
const NO_SUCH_MSR = 0x12345;

/** The exits of the MSR accesses, and who answered them. */
function accesses({ exits, handlers }: Trace) {
  return exits.flatMap((exit, i) =>
    exit.reason === "X86_RDMSR" || exit.reason === "X86_WRMSR"
      ? [{ ...exit, handler: handlers[i] }]
      : []
  );
}

kvmTest(
  "unanswered accesses are exits, and the guest still gets its #GPs",
  async () => {
    const trace = await traced("msr-gp.bin64", { msrs: NO_MSRS });
    assertEquals(trace.output, "rdmsr #GP\nwrmsr #GP\ndone\n");
    assertEquals(trace.outcome, { kind: "halt" });
    const [read, written, ...more] = accesses(trace);
    assert(read?.reason === "X86_RDMSR" && written?.reason === "X86_WRMSR");
    assertEquals(more, []);
    assertEquals(
      [read.index, read.why, read.refused, read.handler],
      [NO_SUCH_MSR, KVM_MSR_EXIT_REASON.UNKNOWN, true, undefined],
    );
    assertEquals(
      [written.index, written.why, written.refused, written.handler],
      [IA32_EFER, KVM_MSR_EXIT_REASON.INVAL, true, undefined],
    );
    assertEquals(written.data, (1n << 64n) - 1n);
  },
);

kvmTest("without the option they are no exits", async () => {
  const trace = await traced("msr-gp.bin64");
  assertEquals([trace.output, accesses(trace)], ["rdmsr #GP\nwrmsr #GP\ndone\n", []]);
});

kvmTest("a handler answers: the guest reads its value, and its write is taken", async () => {
  const calls: string[] = [];
  const handler: MsrDevice = {
    name: "secret",
    read(index, cpu) {
      calls.push(`read ${index} ${cpu}`);
      return 0x1_c0ff_ee00n;
    },
    write(index, value, cpu) {
      calls.push(`write ${index} ${value} ${cpu}`);
      return true;
    },
  };
  const trace = await traced("msr-gp.bin64", { msrs: handler });
  assertEquals(trace.output, "rdmsr c0ffee00\nwrmsr ok\ndone\n");
  assertEquals(calls, [`read ${NO_SUCH_MSR} 0`, `write ${IA32_EFER} ${(1n << 64n) - 1n} 0`]);
  const answers = accesses(trace).map(({ data, refused, handler }) => [data, refused, handler]);
  assertEquals(answers, [
    [0x1_c0ff_ee00n, false, "secret"],
    [(1n << 64n) - 1n, false, "secret"],
  ]);
});

kvmTest("an MSR whose value is 0 is answered too", async () => {
  const zero: MsrDevice = { name: "zero", read: () => 0n, write: () => false };
  const trace = await traced("msr-gp.bin64", { msrs: zero });
  assertEquals(trace.output, "rdmsr 00000000\nwrmsr #GP\ndone\n");
  assertEquals(accesses(trace).map(({ handler }) => handler), ["zero", undefined]);
});

Deno.test("a KVM without MSR exits is an error that names the capability", () => {
  const enableCap = (): never => {
    throw new Error("the capability is missing");
  };
  const error = assertThrows(
    () => enableMsrExits({ checkExtension: () => 0, enableCap }),
    KvmUnavailableError,
  );
  assertEquals(
    error.problem,
    "this host's KVM lacks KVM_CAP_X86_USER_SPACE_MSR, which an exit for MSRs needs",
  );
});

Deno.test("no device serves other exits", () => {
  const area = kvmRun(KVM_EXIT.HLT);
  const before = area.slice();
  assertEquals(serveMsr(new ExitPage(area), 0, NO_MSRS), undefined);
  assertEquals(area, before);
});
