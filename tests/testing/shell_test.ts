import { assertEquals } from "@std/assert";
import { commandLine, words } from "../../src/testing/shell.ts";

Deno.test("a line's words are those of a shell, and make the line again", () => {
  const args = ["a", "b c", "", "it's", "$HOME", "--x=*"];
  assertEquals(words(commandLine(args)), args);
});

Deno.test("a quote without its end is a character", () => {
  assertEquals(words("a 'b  c"), ["a", "'b", "c"]);
});
