import { assert, assertEquals } from "@std/assert";
import { KVM_CAP } from "../../ffi/kvm_caps.ts";
import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import expected from "./uapi_expected.json" with { type: "json" };
import {
  cannotCompile,
  compileAndRun,
  ourTable,
  parseProbe,
  probeSource,
  type UapiTable,
} from "./uapi_probe.ts";

/** One line for each fact of a table, to compare tables by. */
function facts({ constants, structs }: UapiTable): Set<string> {
  const lines = Object.entries(constants).map(([name, value]) => `${name} = ${value}`);
  for (const [name, { size, fields }] of Object.entries(structs)) {
    lines.push(`sizeof ${name} = ${size}`);
    for (const [field, [offset, bytes]] of Object.entries(fields)) {
      lines.push(`${name}.${field} = ${bytes} bytes at ${offset}`);
    }
  }
  return new Set(lines);
}

const committed = facts(expected as unknown as UapiTable);
const reason = cannotCompile("linux/kvm.h");

Deno.test("every entry of the tables is as a C compiler found it in the newest header", () => {
  assertEquals([...facts(ourTable()).difference(committed)], []);
});

Deno.test("the tables have everything that was taken from the newest header", () => {
  assertEquals([...committed.difference(facts(ourTable()))], []);
});

Deno.test("no two exit reasons and no two capabilities share a number", () => {
  for (const table of [KVM_EXIT, KVM_CAP]) {
    assertEquals(new Set(Object.values(table)).size, Object.keys(table).length);
  }
});

Deno.test({
  name: "the tables agree with this machine's <linux/kvm.h>" +
    (reason === undefined ? "" : ` (ignored: ${reason})`),
  ignore: reason !== undefined,
  fn() {
    const header = facts(parseProbe(compileAndRun(probeSource(ourTable()))));
    assert(header.has("KVM_RUN = 44672") && header.has("sizeof kvm_regs = 144"));
    assertEquals([...header.difference(facts(ourTable()))], []);
  },
});
