/**
 * The shell script at the head of a self-extracting executable, followed by a program that only
 * reports how it was started.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { existsSync, walkSync } from "@std/fs";
import { dirname, join } from "node:path";
import { buildSelfExtracting } from "../../tools/build.ts";
import { canMount, onReadOnly, onTmpfs } from "../lib/mounts.ts";

/** In place of Deno: says who it is, what it was given, and ends as the guest wants. */
const FAKE_DENO = `#!/bin/sh
[ "$1" != --version ] || exit 0
echo "program \${0%/*}"
for arg; do echo "arg $arg"; done
echo "umask $(umask)"
echo "cache $DENO_DIR"
[ "$VMEXIT_STARTER" != $PPID ] || echo "ends with its parent"
while read -r line; do echo "stdin $line"; done
case " $* " in
  *" wait "*) trap 'echo terminated; exit 9' TERM HUP; while :; do sleep 0.1; done ;;
esac
exit 67
`;

const FILES = new Map([
  ["main.js", "// nothing\n"],
  ["deno.json", "{}"],
  ["images/a guest.elf", "\x7fELF"],
].map(([name, text]) => [name!, new TextEncoder().encode(text)]));

const COMMANDS = ["cat", "chmod", "find", "gzip", "ls", "mkdir", "mktemp", "mv", "rm", "sha256sum"];
const MORE_COMMANDS = ["sleep", "tail", "tar"];

/** Runs a command as another user than root. */
const SETPRIV = ["setpriv", "--reuid=1", "--regid=1", "--clear-groups"];

interface Result {
  readonly code: number;
  readonly lines: string[];
  readonly stderr: string;
  /** The folder that the program was run from. */
  readonly program: string;
}

/** An executable, and a user's home. */
class Installed implements Disposable {
  readonly root = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "vmexit stub " }));
  readonly home = join(this.root, "home");
  readonly cache = join(this.home, ".cache/vmexit");
  readonly tmp = join(this.root, "tmp");
  readonly executable = join(this.root, "vmexit");

  static async make(): Promise<Installed> {
    const installed = new Installed();
    Deno.mkdirSync(installed.home);
    Deno.mkdirSync(installed.tmp);
    const deno = join(installed.root, "fake deno");
    Deno.writeTextFileSync(deno, FAKE_DENO);
    const parts = { files: FILES, deno, version: "1.2.3" };
    await buildSelfExtracting(parts, installed.executable);
    return installed;
  }

  async run(
    args: readonly string[] = [],
    env: Record<string, string> = {},
    command: readonly string[] = [this.executable],
  ): Promise<Result> {
    const [program, ...before] = command;
    const child = new Deno.Command(program!, {
      args: [...before, ...args],
      clearEnv: true,
      env: { HOME: this.home, TMPDIR: this.tmp, PATH: "/usr/bin:/bin:/usr/sbin:/sbin", ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("typed\n")).catch(() => {});
    await writer.close().catch(() => {});
    const { code, stdout, stderr } = await child.output();
    const lines = new TextDecoder().decode(stdout).trimEnd().split("\n");
    return {
      code,
      lines,
      stderr: new TextDecoder().decode(stderr),
      program: /^program (.*)$/.exec(lines[0]!)?.[1] ?? "",
    };
  }

  /** The folder of the unpacked program. */
  unpacked(): string {
    const [name, ...more] = Array.from(Deno.readDirSync(this.cache), ({ name }) => name);
    assertEquals(more, []);
    assertMatch(name!, /^[0-9a-f]{32}$/);
    return join(this.cache, name!);
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.root, { recursive: true });
  }
}

/** The program ran, from a folder that is gone now. */
function assertRanPrivately({ code, stderr, program }: Result, why: string, tmp: string): void {
  assertEquals(code, 67, stderr);
  assertStringIncludes(stderr, why);
  assertStringIncludes(stderr, "for this run alone");
  assertEquals(dirname(program), tmp);
  assertEquals([...Deno.readDirSync(tmp)], []);
}

function modeOf(path: string): number {
  return Deno.statSync(path).mode! & 0o7777;
}

Deno.test("the first run unpacks into the cache and says so, later ones are silent", async () => {
  using installed = await Installed.make();
  const first = await installed.run(["run", "-q", "a b", ""]);
  const folder = installed.unpacked();
  assertEquals(first.stderr, `vmexit: unpacking into ${folder}, once\n`);
  const second = await installed.run(["run", "-q", "a b", ""]);
  assertEquals(second.stderr, "");
  for (const { code, lines, program } of [first, second]) {
    assertEquals(code, 67);
    assertEquals(program, folder);
    assert(lines.includes("arg -P=default"));
    assertEquals(lines.slice(lines.indexOf(`arg ${folder}/main.js`) + 1, -1).slice(0, 4), [
      "arg run",
      "arg -q",
      "arg a b",
      "arg ",
    ]);
    assertEquals(lines.at(-1), "stdin typed");
    assert(lines.includes(`cache ${folder}/deno-cache`));
  }
  assertEquals(modeOf(installed.cache), 0o700);
  for (const { path } of walkSync(folder)) assertEquals(modeOf(path) & 0o077, 0, path);
  assertEquals(Deno.readTextFileSync(join(folder, "images/a guest.elf")), "\x7fELF");
});

Deno.test("only the test runner may start programs", async () => {
  using installed = await Installed.make();
  assert((await installed.run(["test", "guests"])).lines.includes("arg -P=test"));
  assert((await installed.run(["run", "test"])).lines.includes("arg -P=default"));
});

Deno.test("the user's umask is the program's", async () => {
  using installed = await Installed.make();
  const command = ["/bin/sh", "-c", 'umask 027; exec "$0"', installed.executable];
  for (const env of [{}, { XDG_CACHE_HOME: "/proc/vmexit" }]) {
    assert((await installed.run([], env, command)).lines.includes("umask 0027"));
  }
});

Deno.test("XDG_CACHE_HOME is used if it is an absolute path", async () => {
  using installed = await Installed.make();
  const other = join(installed.root, "other");
  const { program } = await installed.run([], { XDG_CACHE_HOME: other });
  assertEquals(dirname(dirname(program)), other);
  assertEquals(existsSync(installed.cache), false);
  await installed.run([], { XDG_CACHE_HOME: "other" });
  installed.unpacked();
});

Deno.test("first runs at once agree, and leave nothing behind", async () => {
  using installed = await Installed.make();
  const results = await Promise.all(Array.from({ length: 20 }, () => installed.run(["run"])));
  for (const { code, stderr, program } of results) {
    assertEquals(code, 67, stderr);
    assertEquals(program, installed.unpacked());
  }
  assertEquals((await installed.run()).stderr, "");
});

Deno.test("the files of a killed run are removed a day later", async () => {
  using installed = await Installed.make();
  const [old, young] = ["new.OldOne", "new.YoungO"].map((name) => join(installed.cache, name));
  for (const folder of [old!, young!]) Deno.mkdirSync(folder, { recursive: true });
  const twoDaysAgo = new Date(Date.now() - 48 * 3600 * 1000);
  Deno.utimeSync(old!, twoDaysAgo, twoDaysAgo);
  await installed.run();
  assertEquals([existsSync(old!), existsSync(young!)], [false, true]);
});

Deno.test("without a cache the program runs from a temporary folder", async () => {
  using installed = await Installed.make();
  const unset = ["env", "-u", "HOME", installed.executable];
  for (const command of [unset, undefined]) {
    const none = await installed.run([], { HOME: "" }, command);
    assertRanPrivately(none, "neither XDG_CACHE_HOME nor HOME names a folder", installed.tmp);
    assertEquals(none.lines.at(-1), "stdin typed");
    assert(none.lines.includes("ends with its parent"));
  }
  const closed = await installed.run([], { XDG_CACHE_HOME: "/proc/vmexit" });
  assertRanPrivately(closed, "/proc/vmexit/vmexit cannot be made", installed.tmp);
});

Deno.test("an unpacked program that others may have changed is not run", async () => {
  using installed = await Installed.make();
  await installed.run();
  const folder = installed.unpacked();
  Deno.writeTextFileSync(join(folder, "deno"), "#!/bin/sh\necho taken over\n");
  const { tmp, cache, home } = installed;
  for (
    const [path, mode] of [[folder, 0o750], [folder, 0o707], [cache, 0o770], [home, 0o777]] as const
  ) {
    const before = modeOf(path);
    Deno.chmodSync(path, mode);
    assertRanPrivately(await installed.run(), `${folder}: others may have changed it`, tmp);
    Deno.chmodSync(path, before);
  }
  Deno.renameSync(folder, join(installed.root, "elsewhere"));
  Deno.symlinkSync(join(installed.root, "elsewhere"), folder);
  assertRanPrivately(await installed.run(), "others may have changed it", tmp);
});

Deno.test("a link in place of the cache is followed, and where it leads is looked at", async () => {
  using installed = await Installed.make();
  const elsewhere = join(installed.root, "elsewhere");
  Deno.mkdirSync(elsewhere);
  Deno.mkdirSync(dirname(installed.cache));
  Deno.symlinkSync(elsewhere, installed.cache);
  assertEquals(dirname((await installed.run()).program), elsewhere);
  assertEquals((await installed.run()).stderr, "");
  Deno.chmodSync(elsewhere, 0o777);
  assertRanPrivately(await installed.run(), "others may have changed it", installed.tmp);
});

Deno.test({
  name: "an unpacked program of another user's is not run (needs root)",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    using installed = await Installed.make();
    await installed.run();
    const { tmp, cache, home } = installed;
    for (const path of [installed.unpacked(), cache, home]) {
      Deno.chownSync(path, 1, 1);
      assertRanPrivately(await installed.run(), "others may have changed it", tmp);
      Deno.chownSync(path, 0, 0);
    }
    assertEquals((await installed.run()).stderr, "");
  },
});

Deno.test({
  name: "any user has a cache (needs root)",
  ignore: Deno.uid() !== 0,
  fn: async () => {
    using installed = await Installed.make();
    Deno.chmodSync(installed.root, 0o755);
    for (const path of [installed.home, installed.tmp]) Deno.chownSync(path, 1, 1);
    const asDaemon = [...SETPRIV, installed.executable];
    assertEquals((await installed.run([], {}, asDaemon)).program, installed.unpacked());
    assertEquals((await installed.run([], {}, asDaemon)).stderr, "");
    // What is this user's is not root's.
    assertRanPrivately(await installed.run(), "others may have changed it", installed.tmp);
  },
});

Deno.test("an unpacked program that is not whole is not run", async () => {
  using installed = await Installed.make();
  await installed.run();
  Deno.removeSync(join(installed.unpacked(), "main.js"));
  assertRanPrivately(await installed.run(), "is damaged; remove it", installed.tmp);
});

Deno.test("a damaged executable runs nothing and leaves nothing behind", async () => {
  using installed = await Installed.make();
  const bytes = Deno.readFileSync(installed.executable);
  const { executable, cache, tmp } = installed;
  for (
    const broken of [bytes.subarray(0, -40), Uint8Array.from(bytes, flipAt(bytes.length - 90))]
  ) {
    Deno.writeFileSync(executable, broken);
    const { code, lines, stderr } = await installed.run();
    assertEquals([code, lines], [8, [""]]);
    assertStringIncludes(stderr, `${executable} is damaged; get it anew`);
    assertEquals([...Deno.readDirSync(cache), ...Deno.readDirSync(tmp)], []);
  }
});

function flipAt(place: number): (byte: number, i: number) => number {
  return (byte, i) => i === place ? byte ^ 1 : byte;
}

for (const signal of ["SIGTERM", "SIGHUP", "SIGQUIT"] as const) {
  Deno.test(`${signal} reaches a program that runs from a temporary folder`, async () => {
    using installed = await Installed.make();
    const child = new Deno.Command(installed.executable, {
      args: ["wait"],
      clearEnv: true,
      env: { TMPDIR: installed.tmp, PATH: "/usr/bin:/bin" },
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    let seen = "";
    let isSent = false;
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      seen += text;
      // The program's last line before it waits.
      if (isSent || !seen.includes("ends with its parent\n")) continue;
      child.kill(signal);
      isSent = true;
    }
    assertEquals((await child.status).code, 9);
    assertStringIncludes(seen, "terminated");
    assertEquals([...Deno.readDirSync(installed.tmp)], []);
  });
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const) {
  Deno.test(`${signal} while it unpacks is exit code 130, and no file stays behind`, async () => {
    using installed = await Installed.make();
    // A tar that does not end.
    const bin = join(installed.root, "bin");
    Deno.mkdirSync(bin);
    const script = "#!/bin/sh\necho unpacking >&3; exec sleep 0.2\n";
    Deno.writeTextFileSync(join(bin, "tar"), script, { mode: 0o755 });
    const child = new Deno.Command("/bin/sh", {
      args: ["-c", 'exec "$0" 3>&1', installed.executable],
      clearEnv: true,
      env: { HOME: installed.home, PATH: `${bin}:/usr/bin:/bin` },
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    for await (const _ of child.stdout) child.kill(signal);
    assertEquals((await child.status).code, 130);
    assertEquals([...Deno.readDirSync(installed.cache)], []);
  });
}

Deno.test("closed streams do not matter", async () => {
  using installed = await Installed.make();
  const closed = (redirect: string): Promise<Result> =>
    installed.run([], { HOME: "" }, [
      "/bin/sh",
      "-c",
      `exec "$0" ${redirect}`,
      installed.executable,
    ]);
  assertRanPrivately(await closed("<&-"), "for this run alone", installed.tmp);
  assertEquals((await closed(">&-")).code, 67);
  assertEquals((await closed("2>&-")).code, 67);
  assertEquals([...Deno.readDirSync(installed.tmp)], []);
});

const busybox = ["/bin/busybox", "/usr/bin/busybox"].find((path) => existsSync(path));
const shells = [["/bin/dash"], ["/bin/bash"], [busybox ?? "busybox", "sh"]];

for (const shell of shells) {
  Deno.test({
    name: `${shell.join(" ")} runs it`,
    ignore: !existsSync(shell[0]!),
    fn: async () => {
      using installed = await Installed.make();
      const command = [...shell, installed.executable];
      const first = await installed.run(["run"], {}, command);
      assertEquals(first.code, 67, first.stderr);
      assertEquals(first.program, installed.unpacked());
      assertEquals((await installed.run(["run"], {}, command)).stderr, "");
      const closed = await installed.run([], { XDG_CACHE_HOME: "/proc/vmexit" }, command);
      assertRanPrivately(closed, "cannot be made", installed.tmp);
      assertEquals(closed.lines.at(-1), "stdin typed");
    },
  });
}

Deno.test({
  name: "it runs where every command is busybox's (needs busybox)",
  ignore: !busybox,
  fn: async () => {
    using installed = await Installed.make();
    const bin = join(installed.root, "bin");
    Deno.mkdirSync(bin);
    for (const name of [...COMMANDS, ...MORE_COMMANDS]) Deno.symlinkSync(busybox!, join(bin, name));
    const command = [busybox!, "sh", installed.executable];
    const results = await Promise.all(
      Array.from({ length: 3 }, () => installed.run([], { PATH: bin }, command)),
    );
    for (const { code, stderr, program } of results) {
      assertEquals(code, 67, stderr);
      assertEquals(program, installed.unpacked());
    }
    assertEquals((await installed.run([], { PATH: bin }, command)).stderr, "");
  },
});

const mountable = await canMount();
for (
  const [what, options, why] of [
    ["full", "size=4k", "cannot be unpacked there"],
    ["read-only", "ro", "cannot be made"],
    ["noexec", "noexec", "programs cannot be run from there"],
  ] as const
) {
  Deno.test({
    name: `a ${what} cache does not matter (needs the right to mount in a namespace)`,
    ignore: !mountable,
    fn: async () => {
      using installed = await Installed.make();
      const command = onTmpfs(options, installed.home, installed.executable);
      assertRanPrivately(await installed.run([], {}, command), why, installed.tmp);
    },
  });
}

Deno.test({
  name: "what is unpacked starts from a read-only cache (needs the right to mount in a namespace)",
  ignore: !mountable,
  fn: async () => {
    using installed = await Installed.make();
    await installed.run();
    const command = onReadOnly(installed.home, installed.executable);
    const { stderr, program } = await installed.run([], {}, command);
    assertEquals([stderr, program], ["", installed.unpacked()]);
  },
});

Deno.test({
  name: "without room anywhere it says so (needs the right to mount in a namespace)",
  ignore: !mountable,
  fn: async () => {
    using installed = await Installed.make();
    const full = ["/tmp", "/var/tmp", "/dev/shm"].reduce(
      (command, place) => onTmpfs("size=4k", place, ...command),
      ["/bin/sh", "/proc/self/fd/9"],
    );
    // It is opened before what lies in /tmp is hidden.
    const open = ["/bin/sh", "-c", 'exec 9<"$0" && exec "$@"', installed.executable];
    const { code, lines, stderr } = await installed.run([], {}, [...open, ...full]);
    assertEquals([code, lines], [6, [""]]);
    assertStringIncludes(stderr, "cannot be unpacked there, which takes 1 MB\n");
    assert(stderr.endsWith("no folder to unpack into; set XDG_CACHE_HOME or TMPDIR\n"), stderr);
  },
});
