/**
 * Makes dist/vmexit, one executable file: `./dev build`. It says which of two kinds it made:
 *
 * - compiled: `deno compile` puts the program into `denort`, a Deno that only runs programs. It
 *   downloads that, or takes the one that DENORT_BIN names.
 * - self-extracting: a shell script with Deno and the program packed after it, see stub.sh.
 *
 * `./dev build compiled` and `./dev build self-extracting` make that kind or fail; without a name the
 * second is made where the first cannot be.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import config from "../deno.json" with { type: "json" };
import { bundledImages } from "../src/cli/bundled_images.ts";
import { BuildError } from "./build_error.ts";
import { bundleProgram } from "./bundle.ts";
import { LICENSES, thirdPartyLicenses } from "./licenses.ts";

const PROJECT = fileURLToPath(new URL("../", import.meta.url));
const KINDS = ["compiled", "self-extracting"] as const;
/** A program that has not started by then never will. */
const START_TIMEOUT_MS = 10_000;

/** Files by path. */
export type Files = ReadonlyMap<string, Uint8Array>;

/**
 * The program with all that it reads: the bundle with its permissions and the example images; and
 * the licences of third-party code in it.
 *
 * @param flags where packages come from, for `deno bundle`
 * @throws {BuildError} when a package has none
 */
export async function programFiles(flags: readonly string[]): Promise<Files> {
  const { files, assets } = await bundleProgram(flags);
  const all = new Map(files);
  for (const [name, path] of assets) {
    for (const file of assetFiles(name, path)) {
      all.set(join(name, file), Deno.readFileSync(join(path, file)));
    }
  }
  all.set(LICENSES, new TextEncoder().encode(await thirdPartyLicenses(flags)));
  return all;
}

/** The files of an asset that are packed: from the images' folder, only the images. */
function assetFiles(name: string, path: string): string[] {
  if (name === "images") return bundledImages(path.replace(/\/*$/, "/"));
  if (Deno.statSync(path).isFile) return [""];
  return Array.from(Deno.readDirSync(path))
    .filter(({ isFile }) => isFile)
    .map((entry) => entry.name);
}

/** What an executable is made of. */
export interface Parts {
  /** Without deno. */
  readonly files: Files;
  /** The path of Deno's own binary. */
  readonly deno: string;
  readonly version: string;
}

/**
 * Makes a self-extracting executable. The same parts make the same file.
 *
 * @param out its path
 * @throws {BuildError}
 */
export async function buildSelfExtracting(parts: Parts, out: string): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "vmexit-build-" });
  try {
    const program = join(folder, "program");
    writeFiles(parts.files, program);
    Deno.copyFileSync(parts.deno, join(program, "deno"));
    Deno.chmodSync(join(program, "deno"), 0o755);
    const names = [...parts.files.keys(), "deno"].sort();
    let unpackedBytes = 0;
    const checksums = names.map((name) => {
      const bytes = Deno.readFileSync(join(program, name));
      unpackedBytes += bytes.length;
      return `${sha256(bytes)}  ${name}`;
    }).join("\n");
    const payload = join(folder, "payload");
    await run("sh", [
      "-c",
      // Reproducible: no owner, date or order of this machine; and no access for others.
      'cd "$1" && tar -c --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 ' +
      '--mode=u=rwX,go= -- * | gzip -n >"$2"',
      ...["sh", program, payload],
    ]);
    const stub = Deno.readTextFileSync(new URL("./stub.sh", import.meta.url));
    const [script] = fill(stub, {
      VERSION: parts.version,
      HASH: sha256(new TextEncoder().encode(checksums)).slice(0, 32),
      CHECKSUMS: checksums,
      UNPACKED: `${Math.ceil(unpackedBytes / 1e6)} MB`,
      PAYLOAD_LINE: String(stub.split("\n").indexOf("@PAYLOAD@") + names.length),
    }).split("@PAYLOAD@\n");
    const temporary = `${out}.${Deno.pid}`;
    Deno.writeTextFileSync(temporary, script!, { mode: 0o755 });
    Deno.writeFileSync(temporary, Deno.readFileSync(payload), { append: true });
    Deno.renameSync(temporary, out);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function fill(template: string, values: Readonly<Record<string, string>>): string {
  return template.replaceAll(/@([A-Z_]+)@/g, (all, name) => values[name] ?? all);
}

/**
 * Makes a compiled executable.
 *
 * @param out its path
 * @throws {BuildError} when `deno compile` fails, or its output does not run as vmexit because
 * DENORT_BIN names something other than a denort
 */
export async function buildCompiled(parts: Parts, out: string): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "vmexit-build-" });
  const temporary = `${out}.${Deno.pid}`;
  try {
    writeFiles(parts.files, folder);
    const others = [...parts.files.keys()].filter((name) => name !== "main.js");
    await run(parts.deno, [
      ...["compile", "--quiet", "--no-check", "--no-lock", "--no-prompt", "-P=test"],
      "--v8-flags=--no-lazy,--min-semi-space-size=8,--max-semi-space-size=8", // as in the launcher
      ...[`--config=${join(folder, "deno.json")}`, `--output=${temporary}`],
      ...others.map((name) => `--include=${join(folder, name)}`),
      join(folder, "main.js"),
    ]);
    const said = await run(temporary, ["--version"]);
    if (said !== `vmexit ${parts.version}\n`) {
      throw new BuildError(
        `what \`deno compile\` made is not vmexit, but ${said.split("\n")[0]}; ` +
          "DENORT_BIN must name a denort",
      );
    }
    Deno.renameSync(temporary, out);
  } finally {
    Deno.removeSync(folder, { recursive: true });
    try {
      Deno.removeSync(temporary);
    } catch {
      // It was renamed, or never made.
    }
  }
}

function writeFiles(files: Files, folder: string): void {
  for (const [name, bytes] of files) {
    const path = join(folder, name);
    Deno.mkdirSync(dirname(path), { recursive: true });
    Deno.writeFileSync(path, bytes);
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Runs a program. @returns what it prints @throws {BuildError} when it fails, with what it says */
async function run(program: string, args: readonly string[]): Promise<string> {
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  try {
    const { success, stdout, stderr } = await new Deno.Command(program, {
      args: [...args],
      stdin: "null",
      env: { NO_COLOR: "1" },
      signal: AbortSignal.timeout(START_TIMEOUT_MS * 12),
    }).output();
    if (success) return text(stdout);
    const [said, ...causes] = text(stderr).trim().split(/\n\s*(?:\d+: )?/);
    const cause = causes.find((line) => line.startsWith("error ")) ?? said;
    throw new BuildError(`${basename(program)} ${args[0]} failed: ${cause}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new BuildError(`${program} is not there`);
    throw error;
  }
}

/** Deno's own binary, if it runs on any system with glibc. @throws {BuildError} */
function portableDeno(): string {
  const path = Deno.execPath();
  using file = Deno.openSync(path);
  const head = new Uint8Array(4096);
  file.readSync(head);
  if (!new TextDecoder("latin1").decode(head).includes("/lib64/ld-linux-x86-64.so.2\0")) {
    throw new BuildError(
      `${path} is made for this system alone; use the Deno of npm: ` +
        "take deno out of PATH and remove .setup",
    );
  }
  return path;
}

/**
 * Makes dist/vmexit and says how.
 *
 * @param kinds the kinds to try, best first
 * @returns its files
 * @throws {BuildError} when none can be made
 */
export async function build(kinds: readonly (typeof KINDS[number])[] = KINDS): Promise<Files> {
  const flags = (Deno.env.get("VMEXIT_DENO_FLAGS") ?? "").split(" ").filter(Boolean);
  const parts: Parts = {
    files: await programFiles(flags),
    deno: portableDeno(),
    version: config.version,
  };
  Deno.mkdirSync(join(PROJECT, "dist"), { recursive: true });
  const out = join(PROJECT, "dist/vmexit");
  const makers = { "compiled": buildCompiled, "self-extracting": buildSelfExtracting };
  const failures: string[] = [];
  for (const kind of kinds) {
    try {
      await makers[kind](parts, out);
      const megabytes = (Deno.statSync(out).size / 1e6).toFixed(1);
      console.log(`dist/vmexit ${parts.version}, ${kind}, ${megabytes} MB`);
      return parts.files;
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      failures.push(error.message);
      if (kind !== kinds.at(-1)) console.error(`build: it cannot be ${kind}: ${error.message}`);
    }
  }
  throw new BuildError(failures.at(-1)!);
}

if (import.meta.main) {
  const [wanted, ...more] = Deno.args;
  const kinds = wanted === undefined ? KINDS : KINDS.filter((kind) => kind === wanted);
  if (kinds.length === 0 || more.length > 0) {
    console.error(`usage: ./dev build [${KINDS.join(" | ")}]`);
    Deno.exit(2);
  }
  try {
    await build(kinds);
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(`build: ${error.message}`);
    Deno.exit(1);
  }
}
