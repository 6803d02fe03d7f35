import { assertEquals } from "@std/assert";
import { ratioOf, unmet } from "../../../bench/guests/measure.ts";

const LIMIT_MS = 1000;

Deno.test("what a guest must do is its text, its exit code and its last words", () => {
  const expected = { text: /up/, code: 24, message: /cannot emulate "wait/ };
  const seen = { textMs: 1, code: 24, message: 'cannot emulate "wait"' };
  assertEquals(unmet(seen, expected), []);
  assertEquals(unmet({ ...seen, code: 0 }, expected), ["exit code 0 at wait, not exit code 24"]);
  assertEquals(unmet({ code: 24, message: "KVM error" }, expected), [
    "did not print up",
    "said: KVM error",
  ]);
  assertEquals(unmet({ message: "" }, { code: 0 }), ["was ended, not exit code 0"]);
  assertEquals(unmet({ message: "" }, {}), []);
});

Deno.test("a ratio is the peer's time by vmexit's", () => {
  const ours = [{ firstMs: 10, message: "" }];
  const ratio = (peer: Parameters<typeof ratioOf>[1][number]) =>
    ratioOf(ours, [peer], "firstMs", LIMIT_MS);
  assertEquals(ratio({ firstMs: 50, message: "" }), { times: 5, atLeast: false });
  assertEquals(ratio({ message: "" }), { times: 100, atLeast: true }, "never, so the limit counts");
  assertEquals(ratio({ code: 1, message: "no" }), undefined, "it refused the image");
  assertEquals(ratio({ stuck: true, message: "" }), undefined, "it came to an end before");
  assertEquals(ratioOf([{ message: "" }], [{ firstMs: 5, message: "" }], "firstMs", 1), undefined);
});
