import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Hole, HoleKind } from "../../src/memory/hole.ts";
import type { MemoryFault } from "../../src/faults/fault.ts";
import type { FaultResolver } from "../../src/faults/resolve.ts";
import { describeOutcome, exitCodeOf, type Outcome } from "../../src/machine/outcome.ts";
import { SystemError } from "../../ffi/libc.ts";
import { code } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";
import { observer, TestMachine, type TestMachineOptions } from "../lib/machine.ts";

/** The page that is bad. */
const BAD = 0x300000;

function hole(kind: HoleKind, more: Partial<Hole> = {}): Hole {
  return { gpa: BAD, sizeBytes: 0x1000, kind, ...more };
}

/** `out 0xf4, al`: ends with the debug exit. */
const END = "e6 f4";
const READ = `8a 04 25 08 00 30 00  ${END}`; // mov al, [0x300008]
const WRITE = `c6 04 25 08 00 30 00 5a  ${END}`; // mov byte [0x300008], 0x5a
const INCREMENT = `ff 04 25 08 00 30 00  8a 04 25 08 00 30 00  ${END}`; // inc dword [0x300008]

interface Run {
  readonly outcome: Outcome;
  readonly faults: readonly MemoryFault[];
  readonly verdicts: readonly string[];
}

/** Runs a few instructions of 64-bit code, at CPL 3 on request. */
async function run(listing: string, options: TestMachineOptions, cpl: 0 | 3 = 0): Promise<Run> {
  const faults: MemoryFault[] = [];
  const verdicts: string[] = [];
  using test = new TestMachine(code(listing), {
    protocol: "flat64",
    ...options,
    observer: observer(() => {}, (fault, _cpu, verdict) => {
      faults.push(fault);
      verdicts.push(verdict);
    }),
  });
  if (cpl === 3) {
    const { vcpu } = test.machine;
    const sregs = vcpu.sregs();
    sregs.cs = { ...sregs.cs, dpl: 3, selector: 0x2b };
    for (const name of ["ss", "ds", "es"] as const) {
      sregs[name] = { ...sregs[name], dpl: 3, selector: 0x33 };
    }
    vcpu.setSregs(sregs);
    vcpu.setRegs({ ...vcpu.regs(), rflags: 0x3002n }); // IOPL 3, for the debug exit
  }
  const outcome = await test.run();
  return { outcome, faults, verdicts };
}

function faultOf(outcome: Outcome): MemoryFault {
  assert(outcome.kind === "memory_fault", `it ended with ${describeOutcome(outcome)}`);
  return outcome.fault;
}

for (const cpl of [0, 3] as const) {
  kvmTest(`R9: a read of a bad page at CPL ${cpl} ends with code 20 and the GPA`, async () => {
    const { outcome } = await run(READ, { holes: [hole("none")] }, cpl);
    const fault = faultOf(outcome);
    assertEquals(exitCodeOf(outcome), 20);
    assertEquals([fault.gpa, fault.access, fault.rip], [0x300008n, "read", 0x100000n]);
    assertEquals(fault.hostState, "PROT_NONE");
    assertEquals(fault.instruction, "mov al, [0x300008]");
    assertStringIncludes(describeOutcome(outcome), "memory fault: gpa=0x300008 size=0x1");
  });

  kvmTest(`a lazy page is supplied at CPL ${cpl}, and a store to it is made once`, async () => {
    const { outcome, verdicts } = await run(INCREMENT, { holes: [hole("lazy")] }, cpl);
    assertEquals(outcome, { kind: "debug_exit", value: 1 });
    assertEquals(verdicts, ["resolved: lazy, supplied 0x1000 bytes"]);
  });

  kvmTest(`R8: at CPL ${cpl} a resolver that lies is asked three times, no more`, async () => {
    for (const listing of [READ, WRITE]) {
      let asked = 0;
      const liar: FaultResolver = {
        name: "liar",
        resolve: () => ({ action: "retry", note: `lie ${++asked}` }),
      };
      const { outcome } = await run(listing, { holes: [hole("none")], resolvers: [liar] }, cpl);
      assertEquals(faultOf(outcome).gpa, 0x300008n);
      assertEquals(asked, 3);
      assertStringIncludes(describeOutcome(outcome), "liar: lie 3");
    }
  });

  kvmTest(`R8: at CPL ${cpl} the number of retries can be chosen`, async () => {
    let asked = 0;
    const liar: FaultResolver = {
      name: "liar",
      resolve: () => ({ action: "retry", note: `${++asked}` }),
    };
    const options = { holes: [hole("none")], resolvers: [liar], faultRetries: 7 };
    faultOf((await run(READ, options, cpl)).outcome);
    assertEquals(asked, 7);
  });

  kvmTest(`the policy report resolves nothing at CPL ${cpl}`, async () => {
    const options = { holes: [hole("lazy")], faultPolicy: "report" } as const;
    const { outcome, verdicts } = await run(READ, options, cpl);
    assertEquals(faultOf(outcome).gpa, 0x300008n);
    assertEquals(verdicts, ["unresolved"]);
  });

  kvmTest(`a resolver can stop the run at CPL ${cpl}`, async () => {
    const stopper: FaultResolver = {
      name: "stopper",
      resolve: () => ({ action: "stop", note: "enough" }),
    };
    const { outcome } = await run(READ, { holes: [hole("lazy")], resolvers: [stopper] }, cpl);
    assertStringIncludes(describeOutcome(outcome), "stopper: enough");
  });

  kvmTest(`a resolver that throws ends the run at CPL ${cpl} and says why`, async () => {
    const broken: FaultResolver = {
      name: "broken",
      resolve() {
        throw new Error("no such luck");
      },
    };
    const { outcome } = await run(READ, { holes: [hole("lazy")], resolvers: [broken] }, cpl);
    assertStringIncludes(describeOutcome(outcome), "broken: failed: no such luck");
  });

  kvmTest(`a closed guest_memfd at CPL ${cpl} is bound anew where its hole may be`, async () => {
    const { outcome } = await run(INCREMENT, { holes: [hole("gmem")] }, cpl);
    const fault = faultOf(outcome);
    assertEquals(Number(fault.gpa! & ~0xfffn), BAD);
    assertEquals(fault.hostState, "guest_memfd closed");
    const again = await run(INCREMENT, { holes: [hole("gmem", { rebind: true })] }, cpl);
    assertEquals(again.outcome, { kind: "debug_exit", value: 1 });
    assertEquals(again.verdicts, ["resolved: rebind, bound a new guest_memfd"]);
  });
}

kvmTest("a store that KVM has stepped past is named with its own address", async () => {
  const { outcome } = await run(WRITE, { holes: [hole("none")] });
  const fault = faultOf(outcome);
  assertEquals(fault.instruction, "mov byte [0x300008], 0x5a");
  assertEquals(fault.instructionRip, 0x100000n);
  assertEquals(fault.gva, 0x300008n);
});

kvmTest("a lazy page comes with its file's bytes, and zeros behind them", async () => {
  const source = {
    name: "six bytes",
    read: (offset: number, into: Uint8Array) => {
      if (offset === 0) into.set([0, 0, 0, 0, 0, 0, 0, 0, 0x21]);
    },
  };
  for (const cpl of [0, 3] as const) {
    const { outcome } = await run(READ, { holes: [hole("lazy", { source })] }, cpl);
    assertEquals(outcome, { kind: "debug_exit", value: 0x21 });
  }
});

kvmTest("an ordinary triple fault is not a memory fault", async () => {
  const { outcome } = await run("0f 0b", { holes: [hole("none")] }); // ud2, with no IDT
  assertEquals(outcome.kind, "shutdown");
});

kvmTest(
  "onMemoryFault is asked first, sees the fault, and may leave it to the resolvers",
  async () => {
    const seen: (bigint | undefined)[] = [];
    const onMemoryFault = (fault: MemoryFault) => {
      seen.push(fault.gpa);
      return undefined;
    };
    const { outcome, verdicts } = await run(READ, { holes: [hole("lazy")], onMemoryFault });
    assertEquals(seen, [0x300008n]);
    assertEquals(outcome.kind, "debug_exit");
    assertEquals(verdicts, ["resolved: lazy, supplied 0x1000 bytes"]);
    const stopped = await run(READ, { holes: [hole("lazy")], onMemoryFault: () => "stop" });
    assertEquals(exitCodeOf(stopped.outcome), 20);
  },
);

kvmTest("R8: onMemoryFault that lies is asked three times, no more", async () => {
  let asked = 0;
  const onMemoryFault = () => {
    asked++;
    return "retry" as const;
  };
  faultOf((await run(READ, { holes: [hole("none")], onMemoryFault }, 3)).outcome);
  assertEquals(asked, 3);
});

kvmTest("a resolver can give the guest a page fault in place of it", async () => {
  const injector: FaultResolver = {
    name: "injector",
    resolve: () => ({ action: "inject", note: "page fault" }),
  };
  // Without an IDT the page fault becomes a triple fault: a shutdown, not a memory fault.
  const { outcome, verdicts } = await run(READ, { holes: [hole("none")], resolvers: [injector] });
  assertEquals(verdicts, ["resolved: injector, page fault"]);
  assertEquals(outcome.kind, "shutdown");
});

kvmTest(
  "an injected page fault leaves a store to be restarted: its frame holds its own RIP",
  async () => {
    const injector: FaultResolver = {
      name: "injector",
      resolve: () => ({ action: "inject", note: "page fault" }),
    };
    // At 0x100003 a store; at 0x100040 the handler: drop the error code, and end with RIP's low byte.
    const guest = `90 90 90 ${WRITE}`.trim().split(/\s+/);
    const listing = [...guest, ...Array(0x40 - guest.length).fill("90"), "58 58 e6 f4"].join(" ");
    using test = new TestMachine(code(listing), {
      protocol: "flat64",
      holes: [hole("none")],
      resolvers: [injector],
    });
    const { vcpu, memory } = test.machine;
    const idt = 0x18_0000;
    const gate = code("40 00 08 00 00 8e 10 00 00 00 00 00 00 00 00 00");
    memory.write(idt + 14 * 16, gate);
    vcpu.setSregs({ ...vcpu.sregs(), idt: { base: BigInt(idt), limit: 0xfff, padding: [] } });
    assertEquals(await test.run(), { kind: "debug_exit", value: 3 });
  },
);

kvmTest(
  "an injected page fault says which address, and that a modification is a write",
  async () => {
    const injector: FaultResolver = {
      name: "injector",
      resolve: () => ({ action: "inject", note: "page fault" }),
    };
    const modify = code("80 04 25 00 00 30 00 01"); // add byte [0x300000], 1
    for (
      const [handler, value] of [
        ["58 e6 f4", 3], // the error code: present, a write
        ["0f 20 d0 c1 e8 10 e6 f4", 0x30], // mov eax, cr2; shr eax, 16
      ] as const
    ) {
      const guest = new Uint8Array(0x80);
      guest.set(modify);
      guest.set(code(handler), 0x40);
      using test = new TestMachine(guest, {
        protocol: "flat64",
        holes: [hole("none")],
        resolvers: [injector],
      });
      const { vcpu, memory } = test.machine;
      const idt = 0x18_0000;
      memory.write(idt + 14 * 16, code("40 00 08 00 00 8e 10 00 00 00 00 00 00 00 00 00"));
      vcpu.setSregs({ ...vcpu.sregs(), idt: { base: BigInt(idt), limit: 0xfff, padding: [] } });
      assertEquals(await test.run(), { kind: "debug_exit", value });
    }
  },
);

kvmTest("memory that the host refuses ends the run with code 6, and says so", async () => {
  const refused: FaultResolver = {
    name: "refused",
    resolve: () => {
      throw new SystemError("mmap", 12);
    },
  };
  const { outcome } = await run(READ, { holes: [hole("none")], resolvers: [refused] });
  assertEquals(exitCodeOf(outcome), 6);
  assertStringIncludes(describeOutcome(outcome), "the host refuses: mmap: Cannot allocate memory");
});

kvmTest("a chunk of a lazy hole that grows stops at a page that was stored to", async () => {
  const source = { name: "ones", read: (_offset: number, into: Uint8Array) => into.fill(0x11) };
  const lazy: Hole = { gpa: BAD, sizeBytes: 0x8000, kind: "lazy", source };
  const touch = (page: number) => `8a 04 25 00 ${(page * 16).toString(16).padStart(2, "0")} 30 00`;
  // Store to page 4; read pages 0 to 3, in chunks of 1, 2 and then up to 4 pages; read page 4.
  const listing = `c6 04 25 00 40 30 00 bb ${[0, 1, 3, 4].map(touch).join(" ")} ${END}`;
  for (const cpl of [0, 3] as const) {
    const { outcome } = await run(listing, { holes: [lazy] }, cpl);
    assertEquals(outcome, { kind: "debug_exit", value: 0xbb });
  }
});

kvmTest("a fault is counted as MEMORY_FAULT, whatever exit it came as", async () => {
  const counted = async (listing: string, options: TestMachineOptions) => {
    using test = new TestMachine(code(listing), { protocol: "flat64", ...options });
    await test.run();
    const { statistics } = test.machine;
    return Object.fromEntries(statistics.byReason());
  };
  assertEquals(await counted(READ, { holes: [hole("none")] }), { [39]: 1 });
  assertEquals(await counted(READ, { holes: [hole("lazy")] }), { [39]: 1, [2]: 1 });
});
