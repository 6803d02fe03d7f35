import { assert, assertEquals } from "@std/assert";
import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import { KVM_RUN_HYPERCALL } from "../../ffi/kvm_run.ts";
import { ExitPage } from "../../src/kvm/exit_page.ts";
import { kvmRun } from "../exits/samples.ts";
import { serveHypercall } from "../../src/machine/hypercall.ts";
import type { MemoryFault } from "../../src/faults/fault.ts";
import { AttributesResolver, LazyResolver } from "../../src/faults/resolve.ts";
import type { GuestMemory } from "../../src/memory/guest_memory.ts";
import type { Hole } from "../../src/memory/hole.ts";
import type { Slot } from "../../src/memory/slots.ts";

/** Memory that notes what is asked of it: few hosts have private memory. */
class FakeMemory {
  readonly calls: [gpa: bigint, size: bigint, isPrivate: boolean][] = [];

  constructor(readonly kind: Slot["kind"] = "private") {}

  slotAt(gpa: bigint): Slot | undefined {
    if (gpa < 0x1000n || gpa >= 0x9000n) return undefined;
    return { id: 0, gpa: 0x1000, sizeBytes: 0x8000, offset: 0, kind: this.kind };
  }

  isPrivate(): boolean {
    return this.kind === "private";
  }

  setPrivate(gpa: bigint, size: bigint, isPrivate: boolean): void {
    this.calls.push([gpa, size, isPrivate]);
  }
}

function fault(more: Partial<MemoryFault>): MemoryFault {
  return {
    shape: "annotated",
    errno: 14,
    gpa: 0x2000n,
    sizeBytes: 0x1000n,
    access: "unknown",
    private: true,
    flags: 8n,
    rip: 0n,
    locatedBy: "KVM's annotation",
    hostState: "private",
    candidates: [],
    ...more,
  };
}

Deno.test("R14: an annotated fault on a private page makes it shared (synthetic memory)", () => {
  const memory = new FakeMemory();
  const resolver = new AttributesResolver(memory);
  assertEquals(resolver.resolve(fault({}))?.note, "made shared");
  assertEquals(memory.calls, [[0x2000n, 0x1000n, false]]);
});

Deno.test("other faults convert nothing (synthetic memory)", () => {
  const memory = new FakeMemory();
  const resolver = new AttributesResolver(memory);
  assertEquals(resolver.resolve(fault({ shape: "unannotated" })), undefined);
  assertEquals(resolver.resolve(fault({ flags: 0x18n })), undefined, "an unknown flag");
  assertEquals(resolver.resolve(fault({ private: false, flags: 0n })), undefined, "shared");
  assertEquals(new AttributesResolver(new FakeMemory("ram")).resolve(fault({})), undefined);
  assertEquals(memory.calls, []);
});

/** KVM_HC_MAP_GPA_RANGE, and what it returns to the guest. */
function mapGpaRange(memory: FakeMemory, args: readonly bigint[], nr = 12n): bigint {
  const area = kvmRun(KVM_EXIT.HYPERCALL, KVM_RUN_HYPERCALL, { nr, args: [...args, 0n, 0n, 0n] });
  const page = new ExitPage(area);
  serveHypercall(page, memory);
  return BigInt.asIntN(64, page.payload(KVM_RUN_HYPERCALL).ret);
}

Deno.test("a guest converts its memory by hypercall (synthetic exits)", () => {
  const memory = new FakeMemory();
  assertEquals(mapGpaRange(memory, [0x2000n, 2n, 0x10n]), 0n);
  assertEquals(mapGpaRange(memory, [0x2000n, 1n, 0n]), 0n);
  assertEquals(memory.calls, [[0x2000n, 0x2000n, true], [0x2000n, 0x1000n, false]]);
});

Deno.test("an invalid hypercall changes nothing (synthetic exits)", () => {
  const memory = new FakeMemory();
  assertEquals(mapGpaRange(memory, [0x2001n, 1n, 0x10n]), -22n, "unaligned");
  assertEquals(mapGpaRange(memory, [0x2000n, 0n, 0x10n]), -22n, "empty");
  assertEquals(mapGpaRange(memory, [0x2000n, 1n << 60n, 0x10n]), -22n, "wraps");
  assertEquals(mapGpaRange(memory, [0x2000n, 8n, 0x10n]), -22n, "past the slot's end");
  assertEquals(mapGpaRange(memory, [0xf000n, 1n, 0x10n]), -1000n, "no private memory");
  assertEquals(mapGpaRange(memory, [0x2000n, 1n, 0x10n], 99n), -1000n, "another hypercall");
  assertEquals(memory.calls, []);
});

Deno.test("a guest that touches every other page of a large lazy hole costs few mappings", () => {
  const sizeBytes = 512 << 20;
  const hole: Hole = { gpa: 0x1000_0000, sizeBytes, kind: "lazy" };
  const supplied: [start: number, end: number][] = [];
  const memory = {
    holes: [hole],
    holeAt: () => hole,
    supply: (gpa: number, size: number) => supplied.push([gpa, gpa + size]),
  } as unknown as GuestMemory;
  const resolver = new LazyResolver(memory);
  for (let gpa = hole.gpa; gpa < hole.gpa + sizeBytes; gpa += 0x2000) {
    resolver.resolve(fault({ gpa: BigInt(gpa) }));
  }
  assert(supplied.length <= 8192, `${supplied.length} mappings`);
  supplied.reduce((end, [start, next]) => {
    assertEquals(start, end, "everything is supplied, and nothing twice");
    return next;
  }, hole.gpa);
});
