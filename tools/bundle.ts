/**
 * Bundles the program into a few JavaScript files, which start faster than hundreds of modules and
 * need no packages: what `./vmexit` runs, and what `./dev build` packs.
 *
 *     deno run --allow-read --allow-write --allow-run --allow-env tools/bundle.ts FLAG...
 *
 * writes .setup.d; the flags tell `deno bundle` where packages come from.
 *
 * All files of a bundle are in one folder. What a module of src/ names by
 * `new URL("./vcpu_worker.ts", import.meta.url)` is bundled too and found there by its base name: a
 * module becomes an entry, for a Worker; a script (`page.js`, built from `page.ts`) is bundled for a
 * browser; any other file or folder is an asset.
 *
 * @module
 */

import { walkSync } from "@std/fs";
import { basename, dirname, extname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { bundleForBrowser } from "../src/report/page_script.ts";

const PROJECT = fileURLToPath(new URL("../", import.meta.url));

/** Packages that read their WebAssembly from their own folder. */
const WASM_PACKAGES = ["iced-x86", "lz4-wasm-nodejs", "node-liblzma/wasm"];

/** A file's URL in a source, or in esbuild's output. */
const ADDRESS = /(\bnew URL\(\s*)["'`](\.{1,2}\/[^"'`]+)["'`](,\s*import\.meta\.url,?\s*\))/g;
/** A module's path in Deno's package cache, in a comment that esbuild writes. */
const PACKAGE_FILE = /^\/\/ (.*\/npm\/[^/]+\/((?:@[^/]+\/)?[^/]+)\/(\d[^/]*)\/.*)$/gm;
/** What `deno bundle` writes before packages that call `require`: a definition of it. */
const REQUIRE =
  /import\s*\{\s*createRequire as (\w+)\s*\}\s*from\s*"node:module";\s*var (\w+)\s*=\s*\1\(import\.meta\.url\);/;
/** The package that src/x86/instruction.ts requires when it is first needed, and its file's name in a bundle. */
const REQUIRED = { specifier: "iced-x86", file: "iced_x86.cjs" } as const;
/**
 * iced-x86's names of its 4,834 encodings, which are not used here. They take longer to evaluate
 * than the rest of it, and esbuild does not shake the tree of a CommonJS package.
 */
const UNUSED_ENUM = /(\bexports\.Code\s*=\s*)Object\.freeze\(\{[^{}]*\}\)/;
/** A module that is loaded on first use. */
const LAZY_IMPORT = /\bimport\(("[^"]+")\)/g;
/** Comment lines, whose examples may contain URLs. */
const COMMENT = /^\s*(?:\*|\/\/|\/\*).*$/gm;

/** The program as files. */
export interface Bundle {
  /** Contents by name: `main.js` is what is run, with the permissions of `deno.json`. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Files and folders of the project that the program reads: paths by name. */
  readonly assets: ReadonlyMap<string, string>;
}

/**
 * Bundles the program.
 *
 * @param flags where packages come from: `--import-map`, `--lock`
 * @param project the project's folder
 * @throws {Error} with what `deno bundle` says when it fails
 *
 * @example
 * ```ts
 * import { bundleProgram } from "./bundle.ts";
 * const { files } = await bundleProgram(["--import-map=std/npm.json", "--lock=deno.lock"]);
 * console.log(files.has("main.js")); // true
 * ```
 */
export async function bundleProgram(
  flags: readonly string[],
  project: string = PROJECT,
): Promise<Bundle> {
  const { entries, scripts, assets } = addressed(project);
  const outdir = Deno.makeTempDirSync({ prefix: "vmexit-bundle-" });
  try {
    const modules = [join(project, "main.ts"), ...entries];
    await bundle(["--minify", ...flags, "--outdir", outdir, ...modules], project);
    const files = new Map<string, Uint8Array>();
    for (const { path, name } of walkSync(outdir, { includeDirs: false })) {
      if (files.has(name)) throw new Error(`two files of the bundle are called ${name}`);
      files.set(name, new TextEncoder().encode(inOneFolder(Deno.readTextFileSync(path))));
    }
    for (const [name, module] of scripts) {
      files.set(name, new TextEncoder().encode(await bundleForBrowser(module)));
    }
    for (const specifier of WASM_PACKAGES) {
      const folder = dirname(fileURLToPath(import.meta.resolve(specifier)));
      for (const { name } of Deno.readDirSync(folder)) {
        if (name.endsWith(".wasm")) files.set(name, Deno.readFileSync(join(folder, name)));
      }
    }
    const required = Deno.readTextFileSync(fileURLToPath(import.meta.resolve(REQUIRED.specifier)));
    const { permissions } = JSON.parse(Deno.readTextFileSync(join(project, "deno.json")));
    files.set("deno.json", new TextEncoder().encode(JSON.stringify({ permissions })));
    files.set(REQUIRED.file, new TextEncoder().encode(required.replace(UNUSED_ENUM, "$1{}")));
    return { files, assets };
  } finally {
    Deno.removeSync(outdir, { recursive: true });
  }
}

async function bundle(args: readonly string[], project: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["bundle", "--quiet", "--platform", "deno", "--code-splitting"],
      ...[`--config=${join(project, "deno.json")}`, ...args],
    ],
    cwd: project,
    stdin: "null",
    stdout: "null",
  }).output();
  if (!success) throw new Error(`deno bundle failed:\n${new TextDecoder().decode(stderr)}`);
}

/** An npm package. */
export interface Package {
  readonly name: string;
  readonly version: string;
  /** Its files. */
  readonly folder: string;
}

/**
 * The packages whose code the program contains, in the bundle or in a browser's script.
 *
 * @param flags as for {@linkcode bundleProgram}
 * @throws {Error} with what `deno bundle` says when it fails
 */
export async function bundledPackages(
  flags: readonly string[],
  project: string = PROJECT,
): Promise<Package[]> {
  const outdir = Deno.makeTempDirSync({ prefix: "vmexit-bundle-" });
  try {
    const { entries, scripts } = addressed(project);
    const modules = [join(project, "main.ts"), ...entries, ...scripts.values()];
    await bundle([...flags, "--outdir", outdir, ...modules], project);
    const packages = new Map<string, Package>();
    for (const { path } of walkSync(outdir, { includeDirs: false })) {
      // Unminified output names the file of each module.
      for (const [, file, name, version] of Deno.readTextFileSync(path).matchAll(PACKAGE_FILE)) {
        const end = file!.indexOf(`/${version}/`) + `/${version}`.length;
        const folder = resolve(project, file!.slice(0, end));
        packages.set(`${name} ${version}`, { name: name!, version: version!, folder });
      }
    }
    return [...packages.values()].sort((a, b) => a.name < b.name ? -1 : 1);
  } finally {
    Deno.removeSync(outdir, { recursive: true });
  }
}

/** The files that the sources name by URL, besides their imports. */
interface Addressed {
  /** Modules that a Worker runs. */
  readonly entries: readonly string[];
  /** Modules by the name of the browser script built from each. */
  readonly scripts: ReadonlyMap<string, string>;
  /** Files and folders by name. */
  readonly assets: ReadonlyMap<string, string>;
}

function addressed(project: string): Addressed {
  const paths = new Map<string, string>();
  for (const { path } of walkSync(join(project, "src"), { includeDirs: false, exts: [".ts"] })) {
    const source = Deno.readTextFileSync(path).replaceAll(COMMENT, "");
    for (const [, , address] of source.matchAll(ADDRESS)) {
      const target = join(dirname(path), address!);
      const name = basename(target);
      const other = paths.get(name);
      if (other !== undefined && join(other, ".") !== join(target, ".")) {
        throw new Error(`${other} and ${target} would have the same name in a bundle`);
      }
      paths.set(name, target);
    }
  }
  const named = (ending: string) => [...paths].filter(([name]) => extname(name) === ending);
  return {
    entries: named(".ts").map(([, path]) => path),
    scripts: new Map(named(".js").map(([name, path]) => [name, path.replace(/js$/, "ts")])),
    assets: new Map([...paths].filter(([name]) => ![".ts", ".js"].includes(extname(name)))),
  };
}

/** A file of the bundle, which finds the others beside it. */
function inOneFolder(code: string): string {
  return code
    .replaceAll(ADDRESS, (_, before: string, address: string, after: string) => {
      const name = basename(address).replace(/\.ts$/, ".js") + (address.endsWith("/") ? "/" : "");
      return `${before}"./${name}"${after}`;
    })
    .replaceAll(/(["'`])(?:\.\.\/)+([\w-]+\.js)\1/g, '"./$2"')
    // Only modules that come with Deno are required, and only once a package is used. All modules
    // import this one, and importing a module of Node.js would slow every start.
    .replace(REQUIRE, "var $2=(name)=>process.getBuiltinModule(name);")
    .replaceAll(`("${REQUIRED.specifier}")`, `("./${REQUIRED.file}")`)
    // Deno opens and analyses every module that a literal imports, before the program starts.
    .replaceAll(LAZY_IMPORT, "import([$1][0])")
    // A global of CommonJS, which packages for Node.js use.
    .replaceAll(/\b__dirname\b/g, "import.meta.dirname");
}

/**
 * Writes .setup.d. Chunks are named by their hash and main.js is replaced last, so that a program
 * that starts meanwhile finds all its files.
 */
async function main(flags: readonly string[]): Promise<void> {
  const start = new Date();
  const { files, assets } = await bundleProgram(flags);
  const folder = join(PROJECT, ".setup.d");
  const staging = join(folder, String(Deno.pid));
  Deno.mkdirSync(staging, { recursive: true });
  try {
    for (const [name, path] of assets) {
      Deno.symlinkSync(relative(folder, path), join(staging, name));
      Deno.renameSync(join(staging, name), join(folder, name));
    }
    const names = [...files.keys()].filter((name) => name !== "main.js");
    for (const name of [...names, "main.js"]) {
      Deno.writeFileSync(join(staging, name), files.get(name)!);
      // As old as the start of this: sources edited meanwhile are newer.
      Deno.utimeSync(join(staging, name), start, start);
      Deno.renameSync(join(staging, name), join(folder, name));
    }
  } finally {
    Deno.removeSync(staging, { recursive: true });
  }
}

if (import.meta.main) await main(Deno.args);
