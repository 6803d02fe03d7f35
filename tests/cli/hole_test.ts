/**
 * `--hole` and how the faults that it makes end, as users see it.
 *
 * @module
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { kvmTest } from "../lib/kvm.ts";
import { readTrace } from "../lib/trace_schema.ts";
import { image, vmexit } from "../lib/vmexit.ts";

const BAD = "0x300000+0x1000";

/** A quiet run of a guest of images/fault with one hole. */
function run(guest: string, hole: string, ...more: string[]) {
  return vmexit("run", "-q", "--hole", hole, ...more, image(`fault/${guest}`));
}

for (const guest of ["read.bin64", "read-user.bin64"]) {
  kvmTest(`R9: the last line for ${guest} says all that is known of the fault`, async () => {
    const { code, stdout, lines } = await run(guest, `${BAD}:none`);
    assertEquals([code, stdout, lines.length], [20, "", 1]);
    const line = lines[0]!;
    assertMatch(
      line,
      /^vmexit: memory fault: gpa=0x300(008 size=0x4|000 size=0x1000) access=read /,
    );
    assertMatch(line, / shared errno=\S+ shape=\S+ slot=0 host="PROT_NONE" rip=0x\w+ /);
    assertMatch(line, / located-by="[^"]+" instruction="mov eax, \[rdi\+8\]" tried=nothing/);
    assertMatch(line, /; exit code 20$/);
  });
}

kvmTest("R9: the JSON outcome has every field of the fault", async () => {
  const { code, lines } = await run("write.bin64", `${BAD}:none`, "--format", "json");
  assertEquals(code, 20);
  const outcome = readTrace(lines).at(-1)!;
  assertEquals(outcome.kind, "memory_fault");
  assertEquals(BigInt(outcome.gpa) & ~0xfffn, 0x300000n);
  assertEquals([outcome.access, outcome.visibility, outcome.slot], ["write", "shared", 0]);
  assertEquals([outcome.hva_state, outcome.tries], ["PROT_NONE", 0]);
  assertEquals(outcome.instruction, "mov dword [rdi+8], 0x5a");
  for (const field of ["size", "errno", "shape", "located_by", "rip", "registers", "candidates"]) {
    assertEquals(field in outcome, true, field);
  }
});

kvmTest("--verbose dumps registers, instruction and page walk", async () => {
  const { stderr } = await run("read-user.bin64", `${BAD}:none`, "--verbose");
  assertStringIncludes(stderr, "instruction  mov eax, [rdi+8] (64-bit code)\n");
  assertMatch(stderr, /^ {2}rip 0000000000\w{6} /m);
  assertMatch(stderr, /^ {2}BAD operand: read gva=0x300008 gpa=0x300008 size=0x4: PROT_NONE$/m);
  assertMatch(stderr, /^ +PML4 +entry at 0x1000: 0x\w+$/m);
});

kvmTest("a lazy hole is resolved, and --fault-policy report resolves nothing", async () => {
  const resolved = await run("rmw.bin64", `${BAD}:lazy`);
  assertEquals([resolved.code, resolved.stdout], [0, "00000007 00000003\n"]);
  const reported = await run("rmw.bin64", `${BAD}:lazy`, "--fault-policy", "report");
  assertEquals([reported.code, reported.stdout], [20, ""]);
});

kvmTest("lazy:FILE supplies the file's bytes", async () => {
  const file = image("fault/fetch-target-user.bin");
  const { code, stdout } = await run("fetch-user.bin64", `${BAD}:lazy:${file}`);
  assertEquals([code, stdout], [1, "fetched\n"]);
});

kvmTest("gmem:lazy is bound anew", async () => {
  const { code, stdout } = await run("write-user.bin64", `${BAD}:gmem:lazy`);
  assertEquals([code, stdout], [1, "0000005a\n"]);
});

kvmTest("several holes can be made, next to each other and anywhere", async () => {
  const holes = ["0x400000+0x1000:none", "0x401000+0x1000:noslot", "0x402000+0x1000:romslot"];
  const more = holes.flatMap((hole) => ["--hole", hole]);
  const { code, stdout } = await run("read.bin64", `${BAD}:lazy`, ...more);
  assertEquals([code, stdout], [0, "00000000\n"]);
});

kvmTest("private memory works or names the capability that the host lacks", async () => {
  const { code, stderr } = await run("read.bin64", `${BAD}:private`);
  if (code === 6) assertMatch(stderr, /^vmexit: this host's KVM lacks KVM_CAP_\w+, /);
  else assertEquals(code, 0);
});

for (
  const [hole, message] of [
    ["0x300001+0x1000:none", "not made of whole pages"],
    ["0x300000+0x1800:none", "not made of whole pages"],
    ["0x300000+0:none", "has no size"],
    ["0x10000000+0x1000:none", "not within guest RAM (0x0..0x8000000)"],
    ["0x300000+0x10000000:none", "not within guest RAM"],
    ["0xfffffffffffff000+0x1000:none", "beyond the RAM of any guest"],
    ["0x300000+0x1000:non", '"non" is none of none, unmapped, '],
    ["0x300000+0x1000", "is not a hole; write it as 0x200000+0x1000:none"],
    ["0x300000:none", "is not a hole"],
    ["x+y:none", "is not an address"],
    ["0x300000+0x1000:none:lazy", "takes no argument"],
  ] as const
) {
  kvmTest(`--hole ${hole} is exit code 2, in one line`, async () => {
    const { code, lines } = await run("read.bin64", hole);
    assertEquals([code, lines.length], [2, 1]);
    assertMatch(lines[0]!, /^vmexit: --hole: /);
    assertStringIncludes(lines[0]!, message);
  });
}

kvmTest("holes that overlap are exit code 2", async () => {
  const { code, stderr } = await run("read.bin64", `${BAD}:none`, "--hole", "0x2ff000+0x2000:lazy");
  assertEquals(code, 2);
  assertMatch(stderr, /^vmexit: --hole: the holes 0x2ff000\S+ and 0x300000\S+ overlap\n$/);
});

kvmTest("a lazy hole's file that is not there is exit code 4", async () => {
  const { code, lines } = await run("read.bin64", `${BAD}:lazy:/nonexistent`);
  assertEquals([code, lines.length], [4, 1]);
  assertStringIncludes(lines[0]!, "/nonexistent");
});
