import { assert, assertEquals, assertFalse } from "@std/assert";
import { close, O_CLOEXEC, O_RDWR, open, write } from "../../ffi/libc.ts";
import { connectUnix, listenUnix, openPty, tryAccept } from "../../ffi/streams.ts";
import { ThreadAlarm } from "../../src/kvm/alarm.ts";
import { RunResult } from "../../src/kvm/run_result.ts";
import { ThreadInput } from "../../src/kvm/thread_input.ts";
import { code, TestGuest } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";
import { execute, TempDir } from "../lib/vmexit.ts";

/** `sti; hlt; jmp $-1` */
const SLEEP = code("fb f4 eb fd");
/** Ends a run that nothing else ends. */
const LIMIT_MS = 20_000;
const O_NOCTTY = 0o400;
const O_ASYNC = 0o20000;

/** A descriptor, and how something arrives there. */
interface Source extends Disposable {
  readonly fd: number;
  send(): void;
}

function source(fd: number, send: () => void, ...others: number[]): Source {
  return { fd, send, [Symbol.dispose]: () => [fd, ...others].forEach(close) };
}

const sendTo = (fd: number) => () => void write(fd, new Uint8Array([0x0a]));

/** A pseudo-terminal's two ends, of which one is written to. */
function terminal(read: "master" | "slave"): Source {
  const { fd: master, path } = openPty();
  const slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
  return read === "master"
    ? source(master, sendTo(slave), slave)
    : source(slave, sendTo(master), master);
}

async function pipe(dir: TempDir): Promise<Source> {
  const path = `${dir.path}/pipe`;
  assertEquals((await execute("mkfifo", [path])).code, 0);
  const fd = open(path, O_RDWR | O_CLOEXEC);
  return source(fd, sendTo(fd));
}

function socket(dir: TempDir): Source {
  const listener = listenUnix(`${dir.path}/socket`);
  const peer = connectUnix(`${dir.path}/socket`);
  return source(tryAccept(listener)!, sendTo(peer), listener, peer);
}

function listener(dir: TempDir): Source {
  const peers: number[] = [];
  const path = `${dir.path}/socket`;
  const fd = listenUnix(path);
  const made = source(fd, () => peers.push(connectUnix(path), tryAccept(fd)!));
  return {
    ...made,
    [Symbol.dispose]: () => {
      made[Symbol.dispose]();
      peers.forEach(close);
    },
  };
}

const SOURCES: Record<string, (dir: TempDir) => Source | Promise<Source>> = {
  "a terminal": () => terminal("slave"),
  "a pseudo-terminal's other end": () => terminal("master"),
  "a pipe": pipe,
  "a socket": socket,
  "a socket that listens": listener,
};

/** How a file is open: the flags of open(2). */
function flags(fd: number): number {
  const info = Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`);
  return parseInt(/^flags:\s*([0-7]+)$/m.exec(info)![1]!, 8);
}

for (const [name, make] of Object.entries(SOURCES)) {
  kvmTest(`input from ${name} brings the thread back from a guest that halts`, async () => {
    using dir = new TempDir();
    using from = await make(dir);
    using guest = new TestGuest({ irqchip: true });
    guest.enterReal(SLEEP);
    using alarm = new ThreadAlarm();
    alarm.guard(guest.vcpu);
    using input = new ThreadInput();
    input.watch(from.fd);
    for (let i = 0; i < 3; i++) {
      alarm.arm(LIMIT_MS);
      from.send();
      from.send();
      assertEquals(guest.vcpu.run(), RunResult.interrupted);
      assertFalse(alarm.disarm(), "the guest ran until the alarm");
      assert(input.take());
      assertFalse(input.take(), "it was told more than once");
    }
  });
}

kvmTest("input that comes while the guest halts inside the kernel ends KVM_RUN", async () => {
  using dir = new TempDir();
  using from = await pipe(dir);
  using guest = new TestGuest({ irqchip: true });
  guest.enterReal(SLEEP);
  using alarm = new ThreadAlarm();
  alarm.guard(guest.vcpu);
  using input = new ThreadInput();
  input.watch(from.fd);
  const sender = new Deno.Command("sh", {
    args: ["-c", 'echo >"$1"', "sh", dir.path + "/pipe"],
  })
    .spawn();
  alarm.arm(LIMIT_MS);
  assertEquals(guest.vcpu.run(), RunResult.interrupted);
  assertFalse(alarm.disarm(), "the guest ran until the alarm");
  assertEquals((await sender.status).code, 0);
});

Deno.test("a descriptor is left as it was found, also by what is disposed", async () => {
  using dir = new TempDir();
  using from = await pipe(dir);
  const before = flags(from.fd);
  using _alarm = new ThreadAlarm();
  {
    using input = new ThreadInput();
    input.watch(from.fd);
    assertEquals(flags(from.fd), before | O_ASYNC);
    input.unwatch(from.fd);
    assertEquals(flags(from.fd), before);
    input.watch(from.fd);
    from.send();
  }
  assertEquals(flags(from.fd), before);
  const disposed = new ThreadInput();
  disposed[Symbol.dispose]();
  disposed.watch(from.fd);
  assertEquals(flags(from.fd), before);
});

Deno.test("a descriptor that signals another process keeps doing so", async () => {
  using dir = new TempDir();
  using from = await pipe(dir);
  using _alarm = new ThreadAlarm();
  using first = new ThreadInput();
  using second = new ThreadInput();
  first.watch(from.fd);
  second.watch(from.fd);
  second.unwatch(from.fd);
  from.send();
  assert(first.take());
});

Deno.test("what cannot signal, or is no descriptor, is no error", () => {
  using dir = new TempDir();
  using _alarm = new ThreadAlarm();
  using input = new ThreadInput();
  const fd = open(dir.file("other", "content"), O_RDWR | O_CLOEXEC);
  input.watch(fd);
  input.watch(1_000_000);
  assertFalse(input.take());
  input.unwatch(fd);
  input.unwatch(1_000_000);
  close(fd);
});
