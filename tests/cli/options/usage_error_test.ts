import { assertEquals } from "@std/assert";
import { UsageError } from "../../../src/cli/options/usage_error.ts";

const OPTIONS = [
  "--memory",
  "-m",
  "--trace",
  "--trace-file",
  "--timeout",
  "--quiet",
  "-q",
  "--kvm",
];

function suggest(given: string, choices: readonly string[] = OPTIONS): Promise<string> {
  return new UsageError("wrong", { given, choices }).withSuggestion();
}

for (
  const [given, meant] of [
    ["--memroy", "--memory"],
    ["--Memory", "--memory"],
    ["--mem", "--memory"],
    ["--trac", "--trace"],
    ["--timeot", "--timeout"],
    ["--trace-fil", "--trace-file"],
  ] as const
) {
  Deno.test(`${given} may mean ${meant}`, async () => {
    assertEquals(await suggest(given), `wrong; did you mean ${meant}?`);
  });
}

Deno.test("case does not matter", async () => {
  assertEquals(await suggest("hltt", ["MMIO", "HLT"]), "wrong; did you mean HLT?");
});

Deno.test("a word that resembles no option gets no suggestion, nor does a letter", async () => {
  for (const given of ["--frobnicate", "-z", "x", "", "--"]) {
    assertEquals(await suggest(given), "wrong");
  }
});

Deno.test("without a slip the message stands alone", async () => {
  assertEquals(await new UsageError("wrong").withSuggestion(), "wrong");
});
