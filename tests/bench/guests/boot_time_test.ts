import { assert, assertEquals } from "@std/assert";
import { bootOnce } from "../../../bench/guests/boot_time.ts";

const LIMIT = { limitMs: 20_000 };

function sh(script: string): [program: string, args: string[]] {
  return ["sh", ["-c", script]];
}

Deno.test("the first byte and the text have their times, the end its code and last words", async () => {
  const seen = await bootOnce(...sh("printf boot; read x; echo ed; echo why >&2; exit 24"), {
    ...LIMIT,
    text: /booted/,
    endAtText: false,
  });
  assert(seen.firstMs !== undefined && seen.textMs !== undefined);
  assert(seen.firstMs <= seen.textMs);
  assertEquals([seen.code, seen.message], [24, "why"]);
});

Deno.test("a program that would run for ever is ended once it prints the text", async () => {
  const watch = { ...LIMIT, text: /up/, endAtText: true };
  const seen = await bootOnce(...sh("echo up; exec sleep 1000"), watch);
  assert(seen.textMs !== undefined);
  assertEquals(seen.code, undefined);
});

Deno.test("one that says that it is stuck is ended, and has no time for the text", async () => {
  const watch = { ...LIMIT, text: /up/, endAtText: true, stuck: /internal error/ };
  const seen = await bootOnce(...sh("echo KVM internal error >&2; exec sleep 1000"), watch);
  assertEquals(seen, { stuck: true, message: "KVM internal error" });
});

Deno.test("one that says nothing is ended at the limit", async () => {
  const watch = { limitMs: 50, text: /up/, endAtText: true };
  assertEquals(await bootOnce("sleep", ["1000"], watch), { message: "" });
});
