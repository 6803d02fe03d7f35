import { assert, assertEquals } from "@std/assert";
import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import {
  KVM_RUN_EMULATION_FAILURE,
  KVM_RUN_EXIT_OFFSET,
  KVM_RUN_INTERNAL,
  KVM_RUN_IO,
  KVM_RUN_MMIO,
  KVM_RUN_REGS_OFFSET,
  KVM_RUN_STRUCT,
  KVM_RUN_SYSTEM_EVENT,
  KVM_SYNC_X86_REGS,
} from "../../ffi/kvm_run.ts";
import { encode } from "../../ffi/layout.ts";
import { KVM_REGS } from "../../ffi/vcpu_structs.ts";
import { decodeExit, exitReasonName } from "../../src/exits/decode.ts";
import type { VmExit } from "../../src/exits/exit.ts";
import { ExitPage } from "../../src/kvm/exit_page.ts";
import { kvmRun, PORT_DATA, SAMPLES } from "./samples.ts";

function decode(area: Uint8Array<ArrayBuffer>): VmExit {
  return decodeExit(new ExitPage(area));
}

for (const { name, area, exit } of SAMPLES) {
  Deno.test(`a synthetic kvm_run is decoded: ${name}`, () => {
    assertEquals(decode(area), exit);
  });
}

Deno.test("there is a synthetic kvm_run for every exit reason", () => {
  const sampled = new Set(SAMPLES.map(({ exit }) => exit.code));
  assertEquals(Object.entries(KVM_EXIT).filter(([, code]) => !sampled.has(code)), []);
});

Deno.test("an exit reason's number has its name, if it has one", () => {
  assertEquals(exitReasonName(2), "IO");
  assertEquals(exitReasonName(39), "MEMORY_FAULT");
  assertEquals(exitReasonName(0xffff), undefined);
});

Deno.test("RIP is known where the registers were shared, and only there", () => {
  const area = kvmRun(KVM_EXIT.HLT);
  encode(KVM_REGS, { rip: 0xffff_8000_0000_1234n }, area, KVM_RUN_REGS_OFFSET);
  assertEquals(decode(area), { reason: "HLT", code: 5 });
  encode(KVM_RUN_STRUCT, { kvm_valid_regs: BigInt(KVM_SYNC_X86_REGS) }, area);
  assertEquals(decode(area), { reason: "HLT", code: 5, rip: 0xffff_8000_0000_1234n });
});

Deno.test("the data of an access are a view, by which a read is answered", () => {
  const io = { direction: 0, size: 2, port: 1, count: 1, data_offset: BigInt(PORT_DATA) };
  const port = kvmRun(KVM_EXIT.IO, KVM_RUN_IO, io);
  const portExit = decode(port);
  assert(portExit.reason === "IO");
  portExit.data.set([1, 2]);
  assertEquals([...port.subarray(PORT_DATA, PORT_DATA + 2)], [1, 2]);

  const mmio = kvmRun(KVM_EXIT.MMIO, KVM_RUN_MMIO, { phys_addr: 0n, len: 2, is_write: 0 });
  const mmioExit = decode(mmio);
  assert(mmioExit.reason === "MMIO" && mmioExit.direction === "read");
  mmioExit.data.set([3, 4]);
  const at = KVM_RUN_EXIT_OFFSET + KVM_RUN_MMIO.fields.data[0];
  assertEquals([...mmio.subarray(at, at + 2)], [3, 4]);
});

Deno.test("counts beyond a synthetic kvm_run are cut to its size", () => {
  const mmio = decode(kvmRun(KVM_EXIT.MMIO, KVM_RUN_MMIO, { len: 0xffff_ffff }));
  assert(mmio.reason === "MMIO");
  assertEquals([mmio.size, mmio.data.length], [8, 8]);

  const internal = decode(kvmRun(KVM_EXIT.INTERNAL_ERROR, KVM_RUN_INTERNAL, { ndata: 1000 }));
  assert(internal.reason === "INTERNAL_ERROR");
  assertEquals(internal.data.length, 16);

  const event = decode(kvmRun(KVM_EXIT.SYSTEM_EVENT, KVM_RUN_SYSTEM_EVENT, { ndata: 1000 }));
  assert(event.reason === "SYSTEM_EVENT");
  assertEquals(event.data.length, 16);

  const io = { size: 4, count: 0xffff_ffff, data_offset: BigInt(PORT_DATA) };
  const port = decode(kvmRun(KVM_EXIT.IO, KVM_RUN_IO, io));
  assert(port.reason === "IO");
  assertEquals(port.data.length, 2 * 4096, "to the end of the mapping");
});

Deno.test("the bytes of an instruction are known where KVM says that it gives them", () => {
  const failure = { suberror: 1, ndata: 4, flags: 1n, insn_size: 15 };
  const decoded = (change: Partial<typeof failure>): VmExit =>
    decode(
      kvmRun(KVM_EXIT.INTERNAL_ERROR, KVM_RUN_EMULATION_FAILURE, { ...failure, ...change }),
    );
  const bytes = (change: Partial<typeof failure>): number | undefined => {
    const exit = decoded(change);
    return exit.reason === "INTERNAL_ERROR" ? exit.instructionBytes?.length : undefined;
  };
  assertEquals(bytes({}), 15);
  assertEquals(bytes({ insn_size: 200 }), 15);
  assertEquals(bytes({ flags: 0n }), undefined);
  assertEquals(bytes({ ndata: 3 }), undefined);
  assertEquals(bytes({ suberror: 3 }), undefined);
});

Deno.test("a decoder sees the exit that kvm_run holds now", () => {
  const area = kvmRun(KVM_EXIT.HLT);
  const page = new ExitPage(area);
  assertEquals(decodeExit(page).reason, "HLT");
  encode(KVM_RUN_STRUCT, { exit_reason: KVM_EXIT.SHUTDOWN }, area);
  assertEquals(decodeExit(page).reason, "SHUTDOWN");
});

Deno.test("a decoder works on a part of a larger buffer", () => {
  const whole = new Uint8Array(4 * 4096);
  const area = whole.subarray(4096);
  area.set(SAMPLES.find(({ exit }) => exit.reason === "IO")!.area);
  const exit = decode(area);
  assert(exit.reason === "IO");
  assertEquals([exit.port, exit.data[0]], [0x3f8, 0x48]);
});
