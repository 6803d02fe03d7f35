import { assert, assertEquals, assertFalse, assertThrows } from "@std/assert";
import { eventfd, SystemError } from "../../ffi/libc.ts";
import { layout } from "../../ffi/layout.ts";
import { Descriptor, DisposedError } from "../../src/kvm/descriptor.ts";

/** `_IOR('T', 0, int)` of nothing in particular: no eventfd answers it. */
const NO_SUCH_REQUEST = 0x80045400;
const WORD = layout("word", 4, { value: [0, "u32"] });

/** A descriptor that tells what happens to it. */
class Probe extends Descriptor {
  constructor(what: string, readonly log: string[] = [], parent?: Descriptor) {
    super(what, eventfd(), parent);
  }

  protected override release(): void {
    this.log.push(`${this.what} ${isOpen(this.fd) ? "open" : "closed"}`);
  }

  ask(how: "call" | "exchange" | "get" | "set"): unknown {
    switch (how) {
      case "call":
        return this.call("ASK", NO_SUCH_REQUEST);
      case "exchange":
        return this.exchange("ASK", NO_SUCH_REQUEST, new Uint8Array(4));
      case "get":
        return this.get("ASK", NO_SUCH_REQUEST, WORD);
      case "set":
        return this.set("ASK", NO_SUCH_REQUEST, WORD, { value: 1 });
    }
  }
}

const WAYS = ["call", "exchange", "get", "set"] as const;

function isOpen(fd: number): boolean {
  try {
    return Deno.readLinkSync(`/proc/self/fd/${fd}`).includes("eventfd");
  } catch {
    return false;
  }
}

Deno.test("a descriptor is open until it is disposed", () => {
  const probe = new Probe("a probe");
  const { fd } = probe;
  assert(isOpen(fd));
  assertFalse(probe.disposed);
  probe[Symbol.dispose]();
  assertFalse(isOpen(fd));
  assert(probe.disposed);
});

Deno.test("disposing twice does not close a number that was given anew", () => {
  const first = new Probe("the first");
  const { fd } = first;
  first[Symbol.dispose]();
  using second = new Probe("the second");
  assertEquals(second.fd, fd, "the lowest free number is given first");
  first[Symbol.dispose]();
  assert(isOpen(second.fd));
});

Deno.test("what was made from a descriptor is disposed before it, last made first", () => {
  const log: string[] = [];
  const parent = new Probe("parent", log);
  const first = new Probe("first", log, parent);
  const second = new Probe("second", log, parent);
  const grandchild = new Probe("grandchild", log, first);
  parent[Symbol.dispose]();
  assertEquals(log, ["second open", "grandchild open", "first open", "parent open"]);
  assert([first, second, grandchild].every((probe) => probe.disposed));
});

Deno.test("a child that was disposed on its own is not disposed with its parent", () => {
  const log: string[] = [];
  const parent = new Probe("parent", log);
  const child = new Probe("child", log, parent);
  child[Symbol.dispose]();
  parent[Symbol.dispose]();
  assertEquals(log, ["child open", "parent open"]);
});

Deno.test("a use after disposing is a DisposedError that says what was used", () => {
  const probe = new Probe("the probe");
  probe[Symbol.dispose]();
  const message = "the probe was used after it was disposed";
  assertThrows(() => probe.fd, DisposedError, message);
  for (const how of WAYS) assertThrows(() => probe.ask(how), DisposedError, message);
});

Deno.test("an ioctl that fails is a SystemError that names the ioctl and the errno", () => {
  using probe = new Probe("the probe");
  for (const how of WAYS) {
    const error = assertThrows(() => probe.ask(how), SystemError);
    assertEquals(
      error.message,
      "ioctl(ASK): Inappropriate ioctl for device (ENOTTY)",
      how,
    );
    assertEquals([error.call, error.code, error.errno], ["ioctl(ASK)", "ENOTTY", 25]);
  }
});
