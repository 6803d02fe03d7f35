import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { messageTimeMs, residentWithoutRam, runGuest } from "../../bench/guest_run.ts";

const sh = (script: string) => ({ path: "sh", args: ["-c", script] });

Deno.test("a run has the times of its first byte, its last and its end", async () => {
  const run = await runGuest(sh("printf begin; read x; printf end; exit 3"), 3);
  assert(0 < run.firstMs && run.firstMs <= run.lastMs && run.lastMs <= run.endMs);
  assertEquals(run.bytes, 8);
});

Deno.test("a run that ends in another way is not measured", async () => {
  await assertRejects(() => runGuest(sh("echo; exit 1"), 3), Error, "ended with 1");
  await assertRejects(() => runGuest(sh("exit 3"), 3), Error, "printed 0 bytes");
});

Deno.test("a message is waited for, and the program is ended then", async () => {
  const time = await messageTimeMs(
    sh("echo first >&2; echo second >&2; exec sleep 1000"),
    /second/,
  );
  assert(time > 0);
  const silent = () => messageTimeMs(sh("echo first >&2"), /second/);
  await assertRejects(silent, Error, "did not say second but: first");
});

const STATUS = `Name:\tdeno
VmHWM:\t   50000 kB
RssAnon:\t   18000 kB
`;
const mapping = (kilobytes: number, resident: number): string =>
  `480000000000-480001000000 rw-p 00000000 00:00 0 
Size:           ${kilobytes} kB
Rss:               ${resident} kB
`;

Deno.test("what the guest touched of its RAM is not the program's own memory", () => {
  const text = STATUS + mapping(64, 64) + mapping(16_384, 4096) + mapping(8, 8);
  assertEquals(residentWithoutRam(text, 16_384 * 1024), {
    peak: (50_000 - 4096) * 1024,
    anonymous: (18_000 - 4096) * 1024,
  });
});

Deno.test("the guest's RAM must be there, and only once", () => {
  assertThrows(() => residentWithoutRam(STATUS + mapping(8, 8), 1024), Error, "0 mappings have");
  const twice = STATUS + mapping(8, 8) + mapping(8, 0);
  assertThrows(() => residentWithoutRam(twice, 8192), Error, "2 mappings have 8192 bytes");
});
