import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  DEBUGCON,
  loopOf,
  loopOnCpus,
  loopRate,
  POST,
  rowsBesidePeers,
} from "../../bench/beside_qemu.ts";
import { OURS, type Program } from "../../bench/guests/programs.ts";
import { kvmTest } from "../lib/kvm.ts";

Deno.test("exits are divided among the vCPUs, and all of them are counted", () => {
  const { boot, count, bytes } = loopOnCpus(4, DEBUGCON, 1001);
  assertEquals([boot.cpus, boot.append], [4, "count=251 port=233"]);
  assertEquals([count, bytes], [1004, 1004]);
  assertEquals(loopOnCpus(4, POST, 1000).bytes, 0, "the POST port prints nothing");
});

Deno.test("without peers there are no rows, and with one it is in each row", () => {
  assertEquals(rowsBesidePeers({ qemu: [], cLoop: undefined }, "/"), []);
  const qemu: Program = { name: "QEMU", path: "qemu", arguments: () => [] };
  const rows = rowsBesidePeers({ qemu: [qemu], cLoop: undefined }, "/");
  assert(rows.length > 10);
  rows.forEach(({ name, peers }) => assertEquals(peers, ["QEMU"], name));
});

Deno.test("a program that does not print the guest's output is not measured", async () => {
  const echo: Program = { name: "echo", path: "sh", arguments: () => ["-c", "echo; exit 1"] };
  await assertRejects(() => loopRate(echo, loopOf("port", 10)), Error, "echo printed 1 bytes");
});

kvmTest("vmexit's exits a second are measured", async () => {
  const rate = await loopRate(OURS, loopOf("port", 1000));
  assert(rate > 100 && rate < 1e7, `${rate} exits/s`);
});

kvmTest("so are those of the QEMU that is vmexit itself, in turn", async () => {
  const rows = rowsBesidePeers({ qemu: [OURS], cLoop: undefined }, "/");
  const [first] = await rows.find(({ name }) => name === "start to first byte")!.measure(1);
  assert(first!.ours > 0 && first!.peer > 0 && first!.ratio.median > 0);
});
