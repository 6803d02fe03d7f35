/**
 * Every guest mode × hole kind × access, on real KVM. What must hold on every
 * host is the exit code, the page and the access. The shape that a fault takes
 * depends on the host: VMX and SVM annotate faults where others disguise them.
 */

import { assert, assertEquals } from "@std/assert";
import { describeOutcome, exitCodeOf, type Outcome } from "../../src/machine/outcome.ts";
import type { Hole, HoleKind } from "../../src/memory/hole.ts";
import type { MemoryFault } from "../../src/faults/fault.ts";
import { imageFile } from "../lib/images.ts";
import { kvmTest } from "../lib/kvm.ts";
import { TestMachine } from "../lib/machine.ts";

type Mode = "real" | "protected" | "long" | "user";
type Kind = "read" | "write" | "fetch";

const MODES: Readonly<Record<Mode, { suffix: string; bad: number; width: number; code: number }>> =
  {
    real: { suffix: ".bin16", bad: 0x30000, width: 2, code: 0 },
    protected: { suffix: ".bin32", bad: 0x300000, width: 4, code: 0 },
    long: { suffix: ".bin64", bad: 0x300000, width: 8, code: 0 },
    user: { suffix: "-user.bin64", bad: 0x300000, width: 8, code: 1 },
  };

/** What a guest does to the bad page. */
interface AccessCase {
  readonly name: string;
  /** The kinds of access that the fault may be reported as. */
  readonly access: readonly Kind[];
  /** Where in the page, from its start; by mode where it depends on the stack's width. */
  readonly offset: number | ((width: number) => number);
  /** What it prints when the page is good and zero, or holds its file. */
  readonly output: string;
  readonly modes?: readonly Mode[];
  /** The file that belongs into the page. */
  readonly content?: (mode: Mode) => string;
  /** What a page that can only be read does to it. */
  readonly readonly?: "works" | "faults";
}

const FETCH_CONTENT = (mode: Mode) => `fault/fetch-target${mode === "user" ? "-user" : ""}.bin`;

const CASES: readonly AccessCase[] = [
  { name: "read", access: ["read"], offset: 8, output: "00000000\n", readonly: "works" },
  { name: "write", access: ["write"], offset: 8, output: "0000005a\n" },
  { name: "rmw", access: ["read", "write"], offset: 8, output: "00000007 00000003\n" },
  { name: "rmw-lock", access: ["read", "write"], offset: 8, output: "00000001\n" },
  { name: "straddle", access: ["read"], offset: 0, output: "00001122\n", readonly: "works" },
  { name: "straddle-write", access: ["write"], offset: 0, output: "44332211\n" },
  {
    name: "wide",
    access: ["write"],
    offset: 8,
    output: "00112233 ccddeeff\n",
    modes: ["long", "user"],
  },
  { name: "push", access: ["write"], offset: (width) => 0x800 - width, output: "0000005a\n" },
  { name: "pop", access: ["read"], offset: 0x800, output: "00000000\n", readonly: "works" },
  { name: "movs-src", access: ["read"], offset: 8, output: "00000000\n", readonly: "works" },
  { name: "movs-dst", access: ["write"], offset: 8, output: "66656463\n" },
  { name: "stos", access: ["write"], offset: 8, output: "5a5a5a5a\n" },
  {
    name: "fetch",
    access: ["fetch"],
    offset: 0,
    output: "fetched\n",
    content: FETCH_CONTENT,
    readonly: "works",
  },
  {
    name: "fetch-straddle",
    access: ["fetch"],
    offset: 0,
    output: "fetched\n",
    content: FETCH_CONTENT,
    readonly: "works",
  },
  {
    name: "page-table",
    access: ["read", "write"],
    offset: 0,
    output: "5a5a5a5a\n",
    modes: ["long", "user"],
    content: () => "fault/page-table-page.bin",
  },
  {
    name: "idt",
    access: ["read"],
    offset: 0,
    output: "handled\n",
    modes: ["real", "protected", "long"],
    content: (mode) => `fault/idt-page${MODES[mode].suffix}`,
    readonly: "works",
  },
];

async function run(image: string, hole: Hole): Promise<{ outcome: Outcome; output: string }> {
  using test = new TestMachine(image, { holes: [hole] });
  const outcome = await test.run();
  return { outcome, output: test.output };
}

/** Runs for a while: a guest whose stores are lost may not find its end. */
function runBriefly(image: string, hole: Hole): Outcome | undefined {
  using test = new TestMachine(image, { holes: [hole] });
  return test.machine.runFor(350);
}

function assertNoFault(outcome: Outcome | undefined): void {
  assert(outcome?.kind !== "memory_fault", outcome && describeOutcome(outcome));
}

function faultOf(outcome: Outcome): MemoryFault {
  assert(outcome.kind === "memory_fault", `it ended with: ${describeOutcome(outcome)}`);
  return outcome.fault;
}

/** A fault that ends the run, where it must be and as what. */
function assertFault(outcome: Outcome, mode: Mode, { access, offset }: AccessCase): void {
  const fault = faultOf(outcome);
  const { bad, width } = MODES[mode];
  const at = bad + (typeof offset === "number" ? offset : offset(width));
  assertEquals(exitCodeOf(outcome), 20);
  assert(fault.gpa !== undefined, describeOutcome(outcome));
  assertEquals(Number(fault.gpa & ~0xfffn), bad);
  // An annotation names the page, everything else the access.
  if (fault.shape !== "annotated") assertEquals(Number(fault.gpa), at);
  assert((access as readonly string[]).includes(fault.access), describeOutcome(outcome));
  assert(describeOutcome(outcome).startsWith("memory fault: gpa=0x"));
}

function assertEndsWell(outcome: Outcome, mode: Mode): void {
  assertEquals(exitCodeOf(outcome), MODES[mode].code, describeOutcome(outcome));
}

const BAD_FOR_ALL: readonly HoleKind[] = ["none", "unmapped", "truncated", "gmem"];

for (const mode of Object.keys(MODES) as Mode[]) {
  const { suffix, bad } = MODES[mode];
  for (const test of CASES) {
    if (test.modes && !test.modes.includes(mode)) continue;
    const image = `fault/${test.name}${suffix}`;
    const hole = (kind: HoleKind): Hole => ({ gpa: bad, sizeBytes: 0x1000, kind });
    const content = test.content && imageFile(test.content(mode));
    const source = content && {
      name: "content",
      read: (offset: number, into: Uint8Array) => into.set(content.subarray(offset)),
    };

    for (const kind of BAD_FOR_ALL) {
      kvmTest(`R9: ${test.name} in ${mode} mode of a page that is ${kind} faults`, async () => {
        const { outcome } = await run(image, hole(kind));
        assertFault(outcome, mode, test);
      });
    }

    kvmTest(`${test.name} in ${mode} mode of a page that is readonly`, async () => {
      const { outcome } = await run(image, hole("readonly"));
      // What an IDT or code page of zeros does is the guest's own matter.
      if (test.readonly !== "works") assertFault(outcome, mode, test);
      else assertNoFault(outcome);
    });

    kvmTest(
      `R5: ${test.name} in ${mode} mode of a page without a slot is not a fault`,
      async () => {
        assertNoFault(await runBriefly(image, hole("noslot")));
      },
    );

    kvmTest(`R5: ${test.name} in ${mode} mode of a read-only slot is not a fault`, async () => {
      assertNoFault(await runBriefly(image, hole("romslot")));
    });

    kvmTest(`${test.name} in ${mode} mode of a lazy page works as if it were there`, async () => {
      const lazy = { ...hole("lazy"), ...(source ? { source } : {}) };
      const { outcome, output } = await run(image, lazy);
      assertEquals(output, test.output, describeOutcome(outcome));
      assertEndsWell(outcome, mode);
    });
  }
}

for (const [suffix, mode] of [["", "long"], ["-user", "user"]] as const) {
  const run = async (name: string, hole: Hole) => {
    using test = new TestMachine(`fault/${name}${suffix}.bin64`, {
      memoryBytes: 64 << 20,
      holes: [hole],
    });
    const outcome = await test.run();
    return { outcome, output: test.output, resolved: test.machine.statistics.faultsResolved };
  };

  kvmTest(`R8: a walk over 10,000 lazy pages in ${mode} mode is not cut off`, async () => {
    const pages = { gpa: 0x1000000, sizeBytes: 10_000 * 0x1000, kind: "lazy" } as const;
    const { outcome, output, resolved } = await run("lazy-walk", pages);
    assertEquals(output, "da605802\n");
    assertEndsWell(outcome, mode);
    assert(resolved > 0 && resolved < 100, `chunks grow, so ${resolved} faults are too many`);
  });

  kvmTest(`R7: no store to 1000 lazy pages in ${mode} mode is lost or done twice`, async () => {
    const pages = { gpa: 0x1000000, sizeBytes: 1000 * 0x1000, kind: "lazy" } as const;
    const { outcome, output } = await run("counter", pages);
    assertEquals(output, "count=1000\n");
    assertEndsWell(outcome, mode);
  });

  kvmTest(`lazy pages in ${mode} mode hold their file's bytes`, async () => {
    const source = {
      name: "ones",
      read: (_offset: number, into: Uint8Array) => {
        for (let i = 0; i < into.length; i += 4096) into[i] = 1;
      },
    };
    const pages = { gpa: 0x1000000, sizeBytes: 256 * 0x1000, kind: "lazy", source } as const;
    const { outcome, output } = await run("lazy-read", pages);
    assertEquals(output, "00000100\n");
    assertEndsWell(outcome, mode);
  });
}
