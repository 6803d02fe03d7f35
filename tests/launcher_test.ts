/**
 * The launchers `vmexit` and `dev`, run in copies of the project whose main.ts only reports how it
 * was started.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { existsSync, walkSync } from "@std/fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PROJECT = fileURLToPath(new URL("../", import.meta.url));
const PARTS = ["vmexit", "dev", "tools/launch.sh", "tools/probe_std.ts", "deno.json", "deno.lock"];

/** A closed port of this host: a registry there is out of reach at once. */
const OUT_OF_REACH = "http://127.0.0.1:9/";

/** The noise that npx prints. */
const NPM_CHATTER = "npm warn Unknown user config";

/** What the launchers' set-up says in its one line. */
const BY_NPM = /^vmexit: setting up: (.*)JSR is out of reach; .*\.\n$/;

/** What the copy's main.ts prints. */
interface Report {
  args: string[];
  deno: string;
  parseArgs: string;
  cwd: string;
  permissions: Record<string, Deno.PermissionState>;
}

/** What it fetches beside the packages of main.ts. */
const PACKAGES = "tools/packages.ts";
const MAIN = `
import { parseArgs } from "@std/cli/parse-args";
parseArgs([]);
if (Deno.args[0] === "import") await import(Deno.args[1]);
console.log(JSON.stringify({
  args: Deno.args,
  deno: Deno.execPath(),
  parseArgs: import.meta.resolve("@std/cli/parse-args"),
  cwd: Deno.cwd(),
  permissions: Object.fromEntries(
    ["env", "ffi", "import", "net", "read", "run", "sys", "write"]
      .map((name) => [name, Deno.permissions.querySync({ name }).state]),
  ),
}));
`;

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A copy of the project, and a folder of commands that is its whole PATH. */
class Copy implements Disposable {
  readonly #dir = Deno.makeTempDirSync({ prefix: "vmexit launcher " });
  readonly root = join(this.#dir, "the project");
  readonly #bin = join(this.#dir, "bin");
  readonly #env: Record<string, string> = {};

  constructor(commands: Record<string, string>, env: Record<string, string> = {}) {
    for (const dir of [join(this.root, "tools"), join(this.root, "std"), this.#bin]) {
      Deno.mkdirSync(dir, { recursive: true });
    }
    for (const part of PARTS) Deno.copyFileSync(join(PROJECT, part), join(this.root, part));
    for (const { path, name, isFile } of walkSync(join(PROJECT, "std"))) {
      if (isFile) Deno.copyFileSync(path, join(this.root, "std", name));
    }
    Deno.writeTextFileSync(join(this.root, "main.ts"), MAIN);
    Deno.writeTextFileSync(join(this.root, PACKAGES), "export {};\n");
    this.#addTask("report", "deno run $VMEXIT_DENO_FLAGS --allow-read main.ts");
    for (const tool of ["cp", "mv", "readlink", "uname"]) {
      const folder = ["/usr/bin", "/bin"].find((each) => existsSync(join(each, tool)))!;
      Deno.symlinkSync(join(folder, tool), join(this.#bin, tool));
    }
    for (const [name, script] of Object.entries(commands)) this.install(name, script);
    for (const name of ["HOME", "DENO_DIR", "XDG_CACHE_HOME"]) {
      const value = Deno.env.get(name);
      if (value !== undefined) this.#env[name] = value;
    }
    Object.assign(this.#env, { JSR_URL: OUT_OF_REACH, NO_COLOR: "1", PATH: this.#bin }, env);
  }

  /** Puts a command on PATH, in place of the one of that name: a shell script, or Deno itself. */
  install(name: string, script: string): void {
    const path = join(this.#bin, name);
    if (script.startsWith("/")) return Deno.symlinkSync(script, path);
    Deno.writeTextFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }

  #addTask(name: string, command: string): void {
    const path = join(this.root, "deno.json");
    const config = JSON.parse(Deno.readTextFileSync(path));
    config.tasks[name] = command;
    Deno.writeTextFileSync(path, JSON.stringify(config));
  }

  path(name: string): string {
    return join(this.#dir, name);
  }

  async exec(
    command: string,
    args: readonly string[],
    options: { env?: Record<string, string>; cwd?: string } = {},
  ): Promise<Result> {
    const { code, stdout, stderr } = await new Deno.Command(command, {
      args: [...args],
      clearEnv: true,
      env: { ...this.#env, ...options.env },
      cwd: options.cwd ?? this.#dir,
      stdin: "null",
    }).output();
    const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
    return { code, stdout: text(stdout), stderr: text(stderr) };
  }

  vmexit(args: readonly string[] = [], env: Record<string, string> = {}): Promise<Result> {
    return this.exec(join(this.root, "vmexit"), args, { env });
  }

  /** What .setup holds, or nothing without one. */
  setup(): string[] {
    try {
      return Deno.readTextFileSync(join(this.root, ".setup")).trimEnd().split("\n");
    } catch {
      return [];
    }
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#dir, { recursive: true });
  }
}

const WITH_DENO = { deno: Deno.execPath() };
const WITH_NPX = { npx: fakeNpx(`exec '${Deno.execPath()}' "$@"`) };

/** An npx that knows the arguments it must get, and leaves a mark when it is called. */
function fakeNpx(run: string): string {
  return [
    `echo '${NPM_CHATTER}' >&2`,
    `echo called >>"\${0%/*}/npx-calls"`,
    `[ "$1 $2" = '--yes deno@2.9.6' ] || exit 9`,
    "shift 2",
    run,
  ].join("\n");
}

function reportOf(result: Result): Report {
  assertEquals(result.code, 0, result.stderr);
  return JSON.parse(result.stdout);
}

function isStandIn(report: Report): boolean {
  return report.parseArgs.endsWith("/std/parse_args.ts");
}

Deno.test("the first run finds Deno on PATH, falls back to npm, and says so in one line", async () => {
  using copy = new Copy(WITH_DENO);
  const result = await copy.vmexit();
  assertMatch(result.stderr, BY_NPM);
  assert(isStandIn(reportOf(result)));
  assertEquals(copy.setup(), ["2.9.6", Deno.execPath(), "npm"]);
});

Deno.test("later runs are silent and need nothing on PATH", async () => {
  using copy = new Copy(WITH_DENO);
  await copy.vmexit();
  const result = await copy.vmexit([], { PATH: "/nonexistent" });
  assertEquals(result.stderr, "");
  const report = reportOf(result);
  assert(isStandIn(report));
  assertEquals(report.deno, Deno.execPath());
});

Deno.test("without Deno on PATH npx fetches it once, and its own binary is remembered", async () => {
  using copy = new Copy(WITH_NPX);
  const result = await copy.vmexit();
  assertMatch(result.stderr, BY_NPM);
  assertStringIncludes(result.stderr, "fetching Deno 2.9.6 with npx");
  assertEquals(result.stderr.includes(NPM_CHATTER), false);
  assertEquals(copy.setup(), ["2.9.6", Deno.execPath(), "npm"]);
  assertEquals((await copy.vmexit()).stderr, "");
  assertEquals(Deno.readTextFileSync(copy.path("bin/npx-calls")), "called\n");
});

Deno.test("a Deno on PATH that is too old is passed over", async () => {
  for (const version of ["1.46.3", "2.8.9"]) {
    using copy = new Copy({ ...WITH_NPX, deno: `echo '${version} /bin/true'` });
    await copy.vmexit();
    assertEquals(copy.setup()[1], Deno.execPath());
  }
});

Deno.test("a newer Deno on PATH is taken", async () => {
  for (const version of ["2.9.0", "2.10.1", "3.0.0"]) {
    using copy = new Copy({ deno: `echo '${version} ${Deno.execPath()}'` });
    await copy.vmexit();
    assertEquals(copy.setup()[1], Deno.execPath());
  }
});

Deno.test("without Deno and npx the launcher says what to install", async () => {
  using copy = new Copy({});
  const { code, stdout, stderr } = await copy.vmexit();
  assertEquals([code, stdout], [2, ""]);
  assertStringIncludes(stderr, "found neither Deno 2.9 or newer nor npx on PATH");
  assertStringIncludes(stderr, "install Deno, or Node.js with npm");
  assertEquals(copy.setup(), []);
});

Deno.test("what npx says is shown when it fails", async () => {
  using copy = new Copy({ npx: fakeNpx("echo 'npm error network' >&2; exit 1") });
  const { code, stderr } = await copy.vmexit();
  assertEquals(code, 2);
  assertStringIncludes(stderr, "npm error network");
  assertStringIncludes(stderr, "npx cannot run Deno 2.9.6");
  assertEquals(copy.setup(), []);
});

Deno.test("on anything but Linux on x86-64 the launcher says so", async () => {
  using copy = new Copy(WITH_DENO);
  Deno.removeSync(copy.path("bin/uname"));
  copy.install("uname", "echo Darwin arm64");
  const { code, stderr } = await copy.vmexit();
  assertEquals(code, 2);
  assertStringIncludes(stderr, "Linux x86-64 only, and this is Darwin arm64");
});

Deno.test("set-up is done again when the remembered Deno is gone or another one is wanted", async () => {
  using copy = new Copy(WITH_DENO);
  for (
    const setup of ["2.9.6\n/nonexistent\nnpm\n", `2.0.0\n${Deno.execPath()}\nnpm\n`, "", "x\n"]
  ) {
    Deno.writeTextFileSync(join(copy.root, ".setup"), setup);
    const result = await copy.vmexit();
    assertMatch(result.stderr, BY_NPM);
    reportOf(result);
    assertEquals(copy.setup(), ["2.9.6", Deno.execPath(), "npm"]);
  }
});

Deno.test("arguments reach vmexit as they were given", async () => {
  using copy = new Copy(WITH_DENO);
  const args = ["run", "", "a b", "it's", '"', "$HOME", "*", "\\n", "-q", "--", "--help", "ä\n"];
  assertEquals(reportOf(await copy.vmexit(args)).args, args);
  assertEquals(reportOf(await copy.vmexit(args)).args, args);
});

Deno.test("vmexit may read, write and call libraries, and only its test runner start programs", async () => {
  using copy = new Copy(WITH_DENO);
  const granted = async (...args: string[]): Promise<string[]> => {
    const { permissions } = reportOf(await copy.vmexit(args));
    return Object.keys(permissions).filter((name) => permissions[name] === "granted");
  };
  // What "import" grants is what Deno has in its cache.
  assertEquals(await granted("run", "test"), ["ffi", "import", "read", "write"]);
  assertEquals(await granted(), ["ffi", "import", "read", "write"]);
  assertEquals(await granted("test"), ["ffi", "import", "read", "run", "write"]);
});

Deno.test("vmexit runs in the caller's folder, through links and relative paths", async () => {
  using copy = new Copy(WITH_DENO);
  await copy.vmexit();
  const cwd = Deno.realPathSync(Deno.makeTempDirSync({ dir: copy.path("") }));
  Deno.symlinkSync("../the project/vmexit", join(cwd, "one"));
  Deno.symlinkSync("one", join(cwd, "two"));
  const started: Array<[string, string[]]> = [
    ["./two", []],
    ["../the project/vmexit", []],
    ["/bin/sh", ["../the project/vmexit"]],
  ];
  for (const [command, args] of started) {
    const result = await copy.exec(command, args, { cwd });
    assertEquals(reportOf(result).cwd, cwd);
    assertEquals(result.stderr, "");
  }
  const inside = await copy.exec("/bin/sh", ["vmexit"], { cwd: copy.root });
  assertEquals(reportOf(inside).cwd, Deno.realPathSync(copy.root));
});

Deno.test("another project's deno.json and package.json in the caller's folder do not matter", async () => {
  using copy = new Copy(WITH_DENO);
  const cwd = Deno.makeTempDirSync({ dir: copy.path("") });
  Deno.writeTextFileSync(join(cwd, "deno.json"), '{ "imports": { "minimist": "./none.ts" } }');
  Deno.writeTextFileSync(join(cwd, "package.json"), '{ "dependencies": { "minimist": "0.0.1" } }');
  const vmexit = join(copy.root, "vmexit");
  assert(isStandIn(reportOf(await copy.exec(vmexit, [], { cwd }))));
  assert(isStandIn(reportOf(await copy.exec(vmexit, [], { cwd }))));
  assertEquals(Array.from(Deno.readDirSync(cwd), ({ name }) => name).sort(), [
    "deno.json",
    "package.json",
  ]);
});

Deno.test("several first runs at once agree, and leave nothing behind", async () => {
  using copy = new Copy(WITH_DENO);
  const results = await Promise.all(Array.from({ length: 4 }, () => copy.vmexit()));
  for (const result of results) reportOf(result);
  assertEquals(copy.setup(), ["2.9.6", Deno.execPath(), "npm"]);
  const files = Array.from(Deno.readDirSync(copy.root), ({ name }) => name);
  assertEquals(files.filter((name) => name.startsWith(".setup")), [".setup"]);
});

Deno.test("a run leaves the lock file as it was", async () => {
  using copy = new Copy(WITH_DENO);
  await copy.vmexit();
  await copy.vmexit();
  const lock = (root: string): string => Deno.readTextFileSync(join(root, "deno.lock"));
  assertEquals(lock(copy.root), lock(PROJECT));
});

/** Makes a folder read-only for a command, for root too; needs the right to mount. */
const READ_ONLY =
  'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && ! (: >"$1/probe") 2>/dev/null';

function readOnly(root: string, rest: string): [string, string[]] {
  return ["/usr/bin/unshare", ["-rm", "/bin/sh", "-c", `${READ_ONLY} && ${rest}`, "sh", root]];
}

async function canMount(): Promise<boolean> {
  const dir = Deno.makeTempDirSync();
  try {
    const [command, args] = readOnly(dir, "true");
    return (await new Deno.Command(command, { args, stderr: "null" }).output()).success;
  } catch {
    return false;
  } finally {
    Deno.removeSync(dir);
  }
}

Deno.test({
  name: "a read-only project runs all the same (needs the right to mount in a namespace)",
  ignore: !(await canMount()),
  fn: async () => {
    using copy = new Copy(WITH_DENO);
    const path = `${copy.path("bin")}:/usr/sbin:/usr/bin:/sbin:/bin`;
    const [command, args] = readOnly(copy.root, 'exec "$1/vmexit" a');
    for (const std of ["", "npm"]) {
      const result = await copy.exec(command, args, { env: { PATH: path, VMEXIT_STD: std } });
      assertEquals(reportOf(result).args, ["a"]);
      assertEquals(result.stderr.split("\n").length, 2, result.stderr);
      assertEquals(copy.setup(), []);
    }
  },
});

/** A registry with the @std packages that deno.json names, each of one module that exports little. */
class FakeJsr implements AsyncDisposable {
  readonly requests: string[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #cache = Deno.makeTempDirSync();
  readonly #end = Promise.withResolvers<Response>();

  /** @param hangs makes it take requests and not answer */
  constructor(hangs = false) {
    this.#server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
      const { pathname } = new URL(request.url);
      this.requests.push(pathname);
      return hangs ? this.#end.promise : FakeJsr.#answer(pathname);
    });
  }

  get env(): Record<string, string> {
    return { JSR_URL: `http://127.0.0.1:${this.#server.addr.port}/`, DENO_DIR: this.#cache };
  }

  static async #answer(pathname: string): Promise<Response> {
    const [, name, file] = pathname.match(/^\/(@std\/\w+)\/(.+)$/) ?? [];
    const { imports } = JSON.parse(Deno.readTextFileSync(join(PROJECT, "deno.json")));
    const version = imports[name!]?.split("@").at(-1);
    const source = "export const parseArgs = (): void => {};";
    if (file === "meta.json") return Response.json({ versions: { [version]: {} } });
    if (file === `${version}_meta.json`) {
      const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(source));
      const checksum = `sha256-${new Uint8Array(digest).toHex()}`;
      return Response.json({
        exports: { ".": "./mod.ts", "./parse-args": "./mod.ts" },
        manifest: { "/mod.ts": { size: source.length, checksum } },
      });
    }
    return new Response(source, { headers: { "content-type": "text/typescript" } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.resolve(new Response());
    await this.#server.shutdown();
    Deno.removeSync(this.#cache, { recursive: true });
  }
}

Deno.test("where JSR is within reach its packages are taken, and deno.lock does not change", async () => {
  await using jsr = new FakeJsr();
  using copy = new Copy(WITH_DENO, jsr.env);
  const result = await copy.vmexit(["x"]);
  assertEquals(result.stderr, "vmexit: setting up: @std comes from JSR.\n");
  assertStringIncludes(reportOf(result).parseArgs, `${jsr.env.JSR_URL}@std/cli/`);
  assertEquals(copy.setup(), ["2.9.6", Deno.execPath(), "jsr"]);
  const seen = jsr.requests.length;
  assert(seen > 0);
  assertEquals((await copy.vmexit([], { PATH: "/nonexistent" })).stderr, "");
  assertEquals(jsr.requests.length, seen, "a later run asked the registry");
  const lock = (name: string): string => Deno.readTextFileSync(join(copy.root, name));
  assertEquals(lock("deno.lock"), Deno.readTextFileSync(join(PROJECT, "deno.lock")));
  assertStringIncludes(lock(".setup.lock"), '"jsr"');
});

Deno.test("no import of vmexit's reaches the network", async () => {
  await using registry = new FakeJsr();
  using copy = new Copy(WITH_DENO);
  await copy.vmexit();
  const env = { NPM_CONFIG_REGISTRY: registry.env.JSR_URL!, ...registry.env };
  const setup = copy.setup();
  for (const module of ["npm:nothing@1.2.3", "jsr:@std/nothing@1.2.3", "https://deno.land/x.js"]) {
    const { code, stderr } = await copy.vmexit(["import", module], env);
    assertEquals(code, 1);
    assertStringIncludes(stderr, "--cached-only is specified");
  }
  assertEquals(registry.requests, []);
  assertEquals(copy.setup(), setup);
});

Deno.test("VMEXIT_STD decides for one run, without asking JSR", async () => {
  await using jsr = new FakeJsr();
  using copy = new Copy(WITH_DENO, { JSR_URL: jsr.env.JSR_URL! });
  const first = await copy.vmexit([], { VMEXIT_STD: "npm" });
  assertEquals(first.stderr, "vmexit: setting up: @std by way of npm, as VMEXIT_STD says.\n");
  assert(isStandIn(reportOf(first)));
  assertEquals(copy.setup(), ["2.9.6", Deno.execPath()]);
  assertEquals(jsr.requests, []);

  await copy.vmexit([], jsr.env);
  assertEquals(copy.setup()[2], "jsr");
  const forced = await copy.vmexit([], { VMEXIT_STD: "npm" });
  assertEquals(forced.stderr, "");
  assert(isStandIn(reportOf(forced)));
  assertEquals(copy.setup()[2], "jsr");

  const { code, stderr } = await copy.vmexit([], { VMEXIT_STD: "JSR" });
  assertEquals(code, 2);
  assertStringIncludes(stderr, 'VMEXIT_STD is "JSR"; it must be jsr or npm');
});

Deno.test("packages that cannot be fetched are an error that names the remedy", async () => {
  using copy = new Copy(WITH_DENO);
  const { code, stderr } = await copy.vmexit([], { VMEXIT_STD: "jsr" });
  assertEquals(code, 2);
  assertStringIncludes(stderr, "cannot fetch the packages that it is made of (@std by way of jsr)");
  assertStringIncludes(stderr, "VMEXIT_STD=npm");
  assertEquals(copy.setup(), []);
});

Deno.test("so are those of modules that are loaded on first use", async () => {
  using copy = new Copy(WITH_DENO);
  Deno.copyFileSync(join(PROJECT, PACKAGES), join(copy.root, PACKAGES));
  const { code, stderr } = await copy.vmexit([], {
    VMEXIT_STD: "npm",
    NPM_CONFIG_REGISTRY: OUT_OF_REACH,
    DENO_DIR: copy.path("an empty cache"),
  });
  assertEquals(code, 2);
  assertStringIncludes(stderr, "cannot fetch the packages that it is made of (@std by way of npm)");
  assertEquals(copy.setup(), []);
});

Deno.test("tools/packages.ts has every package that the program imports", () => {
  const { imports } = JSON.parse(Deno.readTextFileSync(join(PROJECT, "deno.json")));
  const known = Object.entries(imports as Record<string, string>)
    .filter(([, target]) => target.startsWith("npm:"))
    .map(([name]) => name);
  const imported = new Set<string>();
  for (const room of ["src", "ffi"]) {
    for (const { path } of walkSync(join(PROJECT, room), { exts: [".ts"] })) {
      const text = Deno.readTextFileSync(path).replace(/^\s*\*.*$/gm, "");
      for (const [, name] of text.matchAll(/(?:from |import |import\()"([^"]+)"/g)) {
        if (known.includes(name!)) imported.add(name!);
      }
    }
  }
  const fetched = Deno.readTextFileSync(join(PROJECT, PACKAGES));
  const listed = [...fetched.matchAll(/^import "([^"]+)";$/gm)].map(([, name]) => name!);
  // A package's style sheet comes with the package.
  const packages = [...imported].filter((name) => !name.endsWith(".css"));
  assertEquals(listed, packages.sort());
});

Deno.test("a registry that does not answer holds the first run up for five seconds at most", async () => {
  await using jsr = new FakeJsr(true);
  using copy = new Copy(WITH_DENO, { JSR_URL: jsr.env.JSR_URL! });
  const start = performance.now();
  const probe = await copy.exec(Deno.execPath(), [
    "run",
    "--quiet",
    "--no-lock",
    "--allow-read",
    join(copy.root, "tools/probe_std.ts"),
  ]);
  const elapsedMs = performance.now() - start;
  assertEquals(probe.code, 1);
  assert(jsr.requests.length > 0);
  assert(elapsedMs < 5000, `${elapsedMs} ms`);
});

Deno.test("dev lists the tasks", async () => {
  using copy = new Copy(WITH_DENO);
  for (const args of [[], ["help"], ["--help"]]) {
    const { code, stdout, stderr } = await copy.exec(join(copy.root, "dev"), args);
    assertEquals(code, 0);
    for (const task of ["run", "test", "check", "fmt", "lint"]) {
      assertStringIncludes(stdout + stderr, `- ${task}\n`);
    }
  }
});

Deno.test("dev runs a task with the remembered Deno and mapping, in the project's folder", async () => {
  using copy = new Copy(WITH_DENO);
  const dev = join(copy.root, "dev");
  const first = await copy.exec(dev, ["report", "a b", "--help"]);
  assertEquals(first.stderr.match(/^vmexit: setting up: .*$/gm)?.length, 1, first.stderr);
  Deno.removeSync(copy.path("bin/deno"));
  copy.install("deno", "echo the wrong Deno >&2; exit 1");
  const second = await copy.exec(dev, ["report", "a b", "--help"]);
  for (const result of [first, second]) {
    const report = reportOf(result);
    assertEquals(report.args, ["a b", "--help"]);
    assertEquals(report.deno, Deno.execPath());
    assertEquals(report.cwd, Deno.realPathSync(copy.root));
    assert(isStandIn(report));
  }
  assertEquals(second.stderr.includes("setting up"), false);
});

Deno.test("dev sets up for vmexit too, and ends as its task does", async () => {
  using copy = new Copy(WITH_DENO);
  const failed = await copy.exec(join(copy.root, "dev"), ["nonexistent"]);
  assertEquals(failed.code, 1);
  assert(existsSync(join(copy.root, ".setup")));
  assertEquals((await copy.vmexit()).stderr, "");
});
