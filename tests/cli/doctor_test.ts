import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { KVM_CAP } from "../../ffi/kvm_caps.ts";
import { behaviourRows, cpuidRows, doctor, verdictOf } from "../../src/cli/commands/doctor.ts";
import type { Execution, ModeSpeed } from "../../src/host/execution_speed.ts";

function speeds(...executions: Execution[]): ModeSpeed[] {
  return executions.map((execution) => ({ mode: "real", execution, instructionsPerSecond: 1 }));
}

/** What the program prints when it runs with the rights that a file's mode gives it. */
async function doctorWithoutPrivilege(kvmPath: string): Promise<unknown> {
  const script = `import { doctor } from ${
    JSON.stringify(new URL("../../src/cli/commands/doctor.ts", import.meta.url))
  };
    console.log(doctor(JSON.parse(Deno.args[0])).text);`;
  const { stdout } = await new Deno.Command("setpriv", {
    // Root that may not override a file's mode: the rest of its rights, and so Deno's files, stay.
    args: [
      "--bounding-set=-dac_override,-dac_read_search",
      "--inh-caps=-all",
      Deno.execPath(),
      "eval",
      "--no-config",
      script,
      JSON.stringify({ kvmPath, format: "json" }),
    ],
    stderr: "inherit",
  }).output();
  return JSON.parse(new TextDecoder().decode(stdout));
}

Deno.test("on a host with KVM the text has every section and fits in 80 columns", () => {
  const { text, exitCode } = doctor({ kvmPath: "/dev/kvm", format: "text" });
  assertEquals(exitCode, 0);
  for (const title of ["Host", "Execution", "Features", "Limits", "Capabilities"]) {
    assertMatch(text, new RegExp(`^${title}$`, "m"));
  }
  assertMatch(text, /^ {2}API +version 12$/m);
  for (const line of text.split("\n")) {
    assert(line.length <= 80, line);
    assertEquals(line, line.trimEnd());
  }
  assert(text.endsWith("\n") && !text.endsWith("\n\n"));
});

Deno.test("the text names every capability", () => {
  const words = new Set(doctor({ kvmPath: "/dev/kvm", format: "text" }).text.split(/\s+/));
  for (const name of Object.keys(KVM_CAP)) assert(words.has(name), name);
});

Deno.test("JSON is one line with a type, a version and every capability's value", () => {
  const { text, exitCode } = doctor({ kvmPath: "/dev/kvm", format: "json" });
  assertEquals(text.indexOf("\n"), text.length - 1);
  const record = JSON.parse(text);
  assertEquals([record.type, record.v, record.usable], ["doctor", 1, true]);
  assertEquals(record.exit_code, exitCode);
  assertEquals(record.api_version, 12);
  assertEquals(Object.keys(record.capabilities), Object.keys(KVM_CAP));
  assertEquals(record.capabilities.USER_MEMORY, 1);
  assertEquals(record.execution.modes.length, 4);
});

Deno.test("the report says whether guests see the features that they are given", () => {
  const { cpuid_edits } = JSON.parse(doctor({ kvmPath: "/dev/kvm", format: "json" }).text);
  const seen = cpuid_edits.modes.flatMap((mode: { seen: string[] }) => mode.seen);
  assertEquals(cpuid_edits.honoured, seen.length === 0);
  const { text } = doctor({ kvmPath: "/dev/kvm", format: "text" });
  assertMatch(text, cpuid_edits.honoured ? /^ {2}yes {2}CPUID/m : /^ {2}no {3}CPUID edits/m);
});

Deno.test("features that guests see all the same are counted by mode, the first named", () => {
  const said = (modes: Parameters<typeof cpuidRows>[0]): string =>
    cpuidRows(modes).map((line) => line.trim()).join(" ");
  const modes = (...seen: string[]) => ({
    value: [{ mode: "long_cpl0", seen: [] }, { mode: "long_cpl3", seen }] as const,
  });
  assertMatch(said(modes()), /^yes {2}CPUID edits +--cpu decides which features a guest sees$/);
  assertMatch(said(modes("vme", "de")), /still sees 2 in long CPL 3 \(vme, de\)$/);
  assertMatch(said(modes(..."abcde")), /still sees 5 in long CPL 3 \(a, b, c, d, …\)$/);
  assertMatch(said({ unavailable: "why" }), /^no {3}CPUID edits +unknown: why$/);
});

Deno.test("the report says where paging fails and what a triple fault leaves", () => {
  const { behaviour } = JSON.parse(doctor({ kvmPath: "/dev/kvm", format: "json" }).text);
  assertEquals(Object.keys(behaviour), ["paging_32", "paging_pae", "shutdown_state"]);
  const said = (part: Parameters<typeof behaviourRows>[0]): string[] =>
    behaviourRows(part).join("\n").split(/\n(?= {2}\w)/).map((text) => text.replace(/\s+/g, " "));
  assertEquals(
    said({ value: { paging32: "works", pagingPae: "triple_fault", shutdownState: "reset" } }),
    [
      " yes 32-bit paging guests can switch it on",
      " no PAE paging a guest that switches it on ends in a triple fault; 64-bit guests are not affected",
      " no state at a triple fault KVM resets the vCPU at a triple fault (as on AMD): the guest's RIP " +
      "and registers are lost",
    ],
  );
  assertEquals(said({ unavailable: "why" }), [" no 32-bit paging unknown: why"]);
});

Deno.test("without a device: exit code 6, the problem and the remedy first", () => {
  const { text, exitCode } = doctor({ kvmPath: "/no/such/device", format: "text" });
  assertEquals(exitCode, 6);
  const [verdict, problem, remedy] = text.split("\n");
  assertEquals(verdict, "KVM cannot be used on this host.");
  assertEquals(problem, "  problem   /no/such/device does not exist");
  assertMatch(remedy!, /^ {2}remedy {4}\S/);
  assert(!text.includes("Capabilities"), text);
});

Deno.test("a device that is not KVM: exit code 6, and each part says why it is missing", () => {
  const { text, exitCode } = doctor({ kvmPath: "/dev/null", format: "json" });
  assertEquals(exitCode, 6);
  const record = JSON.parse(text);
  assertEquals(record.problem, "/dev/null is not a KVM device");
  assertEquals(record.capabilities, { unavailable: record.problem });
  assertEquals(record.execution, { unavailable: record.problem });
});

Deno.test({
  name: "without permission: exit code 6 and how to get it",
  // Others than root cannot give up just the right to override a file's mode.
  ignore: Deno.uid() !== 0,
  async fn() {
    const path = await Deno.makeTempFile();
    try {
      await Deno.chmod(path, 0o000);
      const record = await doctorWithoutPrivilege(path) as Record<string, unknown>;
      assertEquals(record.exit_code, 6);
      assertEquals(record.device, {
        path,
        exists: true,
        access: "0000 root:root",
        errno: "EACCES",
      });
      assertStringIncludes(String(record.problem), "no permission");
      assertStringIncludes(String(record.remedy), "setfacl");
    } finally {
      await Deno.remove(path);
    }
  },
});

Deno.test("modes are summed up: native, mixed, mostly emulated", () => {
  assertEquals(verdictOf(speeds("native", "native")), "native");
  assertEquals(verdictOf(speeds("native", "emulated")), "mixed");
  assertEquals(verdictOf(speeds("native", "slow")), "mixed");
  assertEquals(verdictOf(speeds("native", "emulated", "emulated")), "mostly_emulated");
  assertEquals(verdictOf([{ mode: "real", execution: "failed", why: "" }]), "none");
});
