import { assertEquals } from "@std/assert";
import { EAGAIN, EFAULT, EHWPOISON, EINTR, ERRNO, errnoName, errnoText } from "../../ffi/errno.ts";
import { cannotCompile, compileAndRun } from "./uapi_probe.ts";

const reason = cannotCompile("errno.h");

Deno.test("the table goes from 1 to 133 without 41 and 58, which Linux does not use", () => {
  const used = Array.from({ length: 133 }, (_, i) => i + 1).filter((n) => n !== 41 && n !== 58);
  assertEquals([...ERRNO.keys()], used);
});

Deno.test("an error number has its name and its text", () => {
  assertEquals([errnoName(14), errnoText(14)], ["EFAULT", "Bad address"]);
  assertEquals([errnoName(133), errnoText(133)], ["EHWPOISON", "Memory page has hardware error"]);
});

Deno.test("the named numbers are those of the table", () => {
  assertEquals([EINTR, EAGAIN, EFAULT, EHWPOISON].map(errnoName), [
    "EINTR",
    "EAGAIN",
    "EFAULT",
    "EHWPOISON",
  ]);
});

Deno.test("a number that Linux does not use is named by itself", () => {
  for (const n of [0, 41, 134, -1]) {
    assertEquals([errnoName(n), errnoText(n)], [`errno ${n}`, `Unknown error ${n}`]);
  }
});

Deno.test({
  name: "names and texts are those of this machine's C library" +
    (reason === undefined ? "" : ` (ignored: ${reason})`),
  ignore: reason !== undefined,
  fn() {
    const lines = [...ERRNO.values()].map(({ name }) =>
      `printf("%d ${name} %s\\n", ${name}, strerror(${name}));`
    );
    const source = [
      "#include <errno.h>",
      "#include <stdio.h>",
      "#include <string.h>",
      "int main(void) {",
      ...lines,
      "return 0;",
      "}",
      "",
    ].join("\n");
    const ours = [...ERRNO].map(([number, { name, text }]) => `${number} ${name} ${text}`);
    assertEquals(compileAndRun(source).trimEnd().split("\n"), ours);
  },
});
