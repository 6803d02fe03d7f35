import { assertEquals, assertThrows } from "@std/assert";
import { SystemError } from "../../ffi/libc.ts";
import { mmap } from "../../ffi/memory.ts";
import { HostLimitError, withinHostMemory } from "../../src/cli/host_limit.ts";

/** More than a process has addresses for. */
const TOO_MUCH = 2 ** 48;

Deno.test("too little memory on the host is reported with the size and a remedy", () => {
  const error = assertThrows(
    () => withinHostMemory(TOO_MUCH, () => mmap(TOO_MUCH)),
    HostLimitError,
    "no room for a guest of 0x1000000000000 bytes",
  );
  assertEquals(error.message.endsWith("give it less with --memory"), true);
});

Deno.test("other errors pass as they are", () => {
  const other = new SystemError("open", 2);
  const make = () => {
    throw other;
  };
  assertEquals(assertThrows(() => withinHostMemory(1, make), SystemError), other);
});
