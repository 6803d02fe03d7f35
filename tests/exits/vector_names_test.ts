import { assertEquals } from "@std/assert";
import { exceptionVector, vectorName } from "../../src/exits/vector_names.ts";

Deno.test("a vector's name is its mnemonic and what it means", () => {
  assertEquals(vectorName(0), "#DE divide error");
  assertEquals(vectorName(2), "NMI non-maskable interrupt");
  assertEquals(vectorName(14), "#PF page fault");
});

Deno.test("vector 9 has a name but no mnemonic", () => {
  assertEquals(vectorName(9), "coprocessor segment overrun");
});

Deno.test("reserved vectors and interrupts have no name", () => {
  for (const vector of [-1, 15, 22, 27, 31, 32, 255]) assertEquals(vectorName(vector), undefined);
});

Deno.test("exactly the vectors that the manuals list push an error code", () => {
  const vectors = Array.from({ length: 32 }, (_, vector) => vector);
  const pushing = vectors.filter((vector) => exceptionVector(vector)?.hasErrorCode);
  assertEquals(pushing, [8, 10, 11, 12, 13, 14, 17, 21, 29, 30]);
});
