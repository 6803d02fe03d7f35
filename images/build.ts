/**
 * Builds the guest images from their assembly sources with GNU `as` and `ld`.
 *
 * `images/NAME` is built from `images/src/NAME.S`, or from a source that serves several images, in
 * the form that {@linkcode images} says. The build is deterministic: it depends on the sources alone,
 * not on the directory, the time or the host. The built files are committed, so an assembler is needed only to change a guest.
 *
 *     ./dev images            build every image
 *     ./dev images --check    build in memory and compare with the committed files
 *
 * @module
 */

/** How an image is assembled and linked. */
export interface Form {
  /** The code size that the assembler starts in, and the class of the ELF object. */
  readonly bits: 32 | 64;
  /** Load address of the first byte (GPA). */
  readonly base: number;
  /** True for the bare bytes in load order, false for an ELF executable. */
  readonly flat: boolean;
  /** The linker script; default `guest.ld`. */
  readonly script?: string;
  /** The source's path below `src` without `.S`. Default: the image's name. */
  readonly source?: string;
  /** Symbols that the source is assembled with. Default: none. */
  readonly symbols?: Readonly<Record<string, number>>;
}

const flat16: Form = { bits: 32, base: 0x7c00, flat: true };
const flat32: Form = { bits: 32, base: 0x10_0000, flat: true };
const flat64: Form = { bits: 64, base: 0x10_0000, flat: true };
const elf32: Form = { bits: 32, base: 0x10_0000, flat: false };
const elf64: Form = { bits: 64, base: 0x10_0000, flat: false };
/** Three sectors of real-mode code before the protected-mode code, which is loaded at 1 MiB. */
const bzImage: Form = { bits: 32, base: 0x10_0000 - 3 * 512, flat: true };

/** The modes that the memory-fault guests are for, by the end of their names. */
const faultModes = {
  ".bin16": { ...flat16, symbols: { BITS: 16, CPL: 0 } },
  ".bin32": { ...flat32, symbols: { BITS: 32, CPL: 0 } },
  ".bin64": { ...flat64, symbols: { BITS: 64, CPL: 0 } },
  "-user.bin64": { ...flat64, symbols: { BITS: 64, CPL: 3 } },
} as const;

type FaultMode = keyof typeof faultModes;

const everyMode: readonly FaultMode[] = [".bin16", ".bin32", ".bin64", "-user.bin64"];
const longMode: readonly FaultMode[] = [".bin64", "-user.bin64"];

/** The images of one memory-fault source, one a mode. */
function faultImages(name: string, modes: readonly FaultMode[]): [string, Form][] {
  const source = `fault/${name}`;
  return modes.map((mode) => [`${source}${mode}`, { ...faultModes[mode], source }]);
}

/** The content of a page for a memory-fault guest, assembled as for a mode. */
function faultPage(name: string, source: string, mode: FaultMode): [string, Form] {
  return [`fault/${name}`, { ...faultModes[mode], source: `fault/${source}` }];
}

/**
 * Every image by its path below `images`. A Multiboot image is an ELF32 executable or, with the address
 * fields of its header ("a.out kludge"), a flat binary; a bzImage is one too.
 */
export const images: ReadonlyMap<string, Form> = new Map<string, Form>([
  ["hello.bin16", flat16],
  ["hello.bin32", flat32],
  ["hello.bin64", flat64],
  ["hello.elf", elf64],
  ["hello32.elf", elf32],
  ["hello.mb", elf32],
  ["hello.kludge", flat32],
  ["serial-poll.bin64", flat64],
  ["echo.bin64", flat64],
  ["strio.bin64", flat64],
  ["mmio.bin64", flat64],
  ["hlt.bin16", flat16],
  ["triple.bin64", flat64],
  ["spin.bin64", flat64],
  ["storm.bin64", flat64],
  ["storm-debugcon.bin64", flat64],
  ["cpuid.bin64", flat64],
  ["msr.bin64", flat64],
  ["msr-unknown.bin64", flat64],
  ["msr-gp.bin64", flat64],
  ["unclaimed.bin64", flat64],
  ["exit.bin64", flat64],
  ["highmem.bin64", flat64],
  ["regs.bin16", flat16],
  ["regs.bin32", flat32],
  ["regs.bin64", flat64],
  ["mb-info.mb", elf32],
  ["mb2-info.mb2", elf32],
  ["linux-info.bzimage", bzImage],
  ["vmlinux.elf", { ...elf64, script: "notes.ld" }],
  ["pvh-info.pvh", { ...elf32, script: "notes.ld" }],
  ["pc/idle.bin16", flat16],
  ["pc/timer.bin16", flat16],
  ["pc/rtc.bin16", flat16],
  ["pc/serial-irq.bin16", flat16],
  ["pc/io-apic.bin32", flat32],
  ["pc/acpi.bin32", flat32],
  ["pc/mp-table.bin32", flat32],
  ["pc/fw-cfg.bin32", flat32],
  ["smp/hello.mb", elf32],
  ["smp/storm.mb", elf32],
  ["smp/ipi.mb", elf32],
  ["smp/exit-from-ap.mb", elf32],
  ["smp/halt-all.mb", elf32],
  ["smp/idle-one.mb", elf32],
  ["smp/ap-fault.mb", elf32],
  ["smp/ap-triple.mb", elf32],
  ["smp/touch.bin64", flat64],
  ["bench/exits.mb", elf32],
  ["bench/exits-smp.mb", elf32],
  ["hostile/hostile.bin64", flat64],
  ...faultImages("read", everyMode),
  ...faultImages("write", everyMode),
  ...faultImages("rmw", everyMode),
  ...faultImages("rmw-lock", everyMode),
  ...faultImages("straddle", everyMode),
  ...faultImages("straddle-write", everyMode),
  ...faultImages("wide", longMode),
  ...faultImages("push", everyMode),
  ...faultImages("pop", everyMode),
  ...faultImages("movs-src", everyMode),
  ...faultImages("movs-dst", everyMode),
  ...faultImages("stos", everyMode),
  ...faultImages("fetch", everyMode),
  ...faultImages("fetch-straddle", everyMode),
  faultPage("fetch-target.bin", "fetch-target", ".bin64"),
  faultPage("fetch-target-user.bin", "fetch-target", "-user.bin64"),
  ...faultImages("page-table", longMode),
  faultPage("page-table-page.bin", "page-table-page", ".bin64"),
  ...faultImages("idt", [".bin16", ".bin32", ".bin64"]),
  ...faultImages("idt-page", [".bin16", ".bin32", ".bin64"]),
  ...faultImages("lazy-walk", longMode),
  ...faultImages("lazy-read", longMode),
  ...faultImages("counter", longMode),
]);

/** An image cannot be built, or is not what its source gives. The message says why. */
export class BuildError extends Error {
  /** The error's class name. */
  override name = "BuildError";
}

const here = new URL("./", import.meta.url);

/** Runs a tool in `images/src` and returns what it printed on stdout. */
async function run(tool: "as" | "ld", args: string[]): Promise<string> {
  const command = new Deno.Command(tool, {
    args,
    cwd: new URL("src/", here),
    env: { LC_ALL: "C" },
  });
  const { success, stdout, stderr } = await command.output();
  if (!success) {
    throw new BuildError(new TextDecoder().decode(stderr).trim() || `${tool} failed`);
  }
  return new TextDecoder().decode(stdout);
}

/**
 * Why this machine cannot build the images, or `undefined` if it can.
 *
 * Asks for GNU `as` that assembles x86 and GNU `ld` that links both ELF classes.
 *
 * @example
 * ```ts
 * import { missingTools } from "./build.ts";
 *
 * const reason = await missingTools();
 * if (reason !== undefined) console.error(reason);
 * ```
 */
export async function missingTools(): Promise<string | undefined> {
  try {
    const as = await run("as", ["--version"]);
    if (!/^GNU assembler/.test(as) || !/target of .(x86_64|i[3-6]86)-/.test(as)) {
      return "as is not the GNU assembler for x86";
    }
    const ld = await run("ld", ["-V"]);
    if (!/\belf_i386\b/.test(ld) || !/\belf_x86_64\b/.test(ld)) {
      return "ld is not the GNU linker for elf_i386 and elf_x86_64";
    }
    return undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "GNU as and ld are not installed";
    if (error instanceof BuildError) return error.message;
    throw error;
  }
}

/**
 * Builds one image and returns its bytes. Writes nothing outside a temporary directory, which it
 * removes.
 *
 * @param name The image's path below `images`, a key of {@linkcode images}.
 * @throws {BuildError} If there is no such image, or `as` or `ld` reports an error.
 *
 * @example
 * ```ts
 * import { buildImage, missingTools } from "./build.ts";
 *
 * if (await missingTools() === undefined) {
 *   const bootSector = await buildImage("hello.bin16");
 *   console.log(bootSector.length, "bytes, loaded at 0x7c00");
 * }
 * ```
 */
export async function buildImage(name: string): Promise<Uint8Array> {
  const form = images.get(name);
  if (form === undefined) throw new BuildError(`${name}: not in the table of images`);
  const directory = await Deno.makeTempDir({ prefix: "vmexit-images-" });
  try {
    const object = `${directory}/object`;
    const linked = `${directory}/linked`;
    // Some distributions' assemblers add a note section by default: the bytes must not depend on
    // that.
    await run("as", [
      ...[`--${form.bits}`, "-mx86-used-note=no"],
      ...Object.entries(form.symbols ?? {}).map(([symbol, value]) => `--defsym=${symbol}=${value}`),
      ...["-o", object, `${form.source ?? name}.S`],
    ]);
    await run("ld", [
      ...["-m", form.bits === 64 ? "elf_x86_64" : "elf_i386"],
      ...["-T", form.script ?? "guest.ld", `--defsym=BASE=${form.base}`],
      // No page alignment in the file, no symbols, no build id: a few hundred bytes.
      ...["--nmagic", "--strip-all", "--build-id=none"],
      ...(form.flat ? ["--oformat=binary"] : []),
      ...["-o", linked, object],
    ]);
    return await Deno.readFile(linked);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/**
 * The committed file of an image.
 *
 * @example
 * ```ts
 * import { imageFile } from "./build.ts";
 *
 * const { size } = await Deno.stat(imageFile("hello.elf"));
 * ```
 */
export function imageFile(name: string): URL {
  return new URL(name, here);
}

/**
 * Compares an image, built anew, with the committed file.
 *
 * @returns What differs, in one line, or `undefined` if they are the same byte for byte.
 * @throws {BuildError} As {@linkcode buildImage}.
 *
 * @example
 * ```ts
 * import { checkImage, missingTools } from "./build.ts";
 *
 * if (await missingTools() === undefined) {
 *   const difference = await checkImage("hello.elf");
 *   if (difference !== undefined) throw new Error(difference);
 * }
 * ```
 */
export async function checkImage(name: string): Promise<string | undefined> {
  const built = await buildImage(name);
  let committed: Uint8Array;
  try {
    committed = await Deno.readFile(imageFile(name));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return `${name}: not built yet`;
    throw error;
  }
  if (built.length !== committed.length) {
    return `${name}: ${committed.length} bytes, its source gives ${built.length}`;
  }
  const at = built.findIndex((byte, index) => byte !== committed[index]);
  return at === -1 ? undefined : `${name}: differs from its source at offset 0x${at.toString(16)}`;
}

/** The command behind `./dev images`. Returns the exit code. */
async function main(args: readonly string[]): Promise<number> {
  const check = args[0] === "--check";
  if (args.length > (check ? 1 : 0)) {
    console.error("usage: ./dev images [--check]");
    return 2;
  }
  const missing = await missingTools();
  if (missing !== undefined) {
    console.error(`images: ${missing}: install binutils (only a change to a guest needs it)`);
    return 2;
  }
  let failures = 0;
  for (const name of images.keys()) {
    try {
      if (check) {
        const difference = await checkImage(name);
        if (difference !== undefined) throw new BuildError(difference);
      } else {
        const bytes = await buildImage(name);
        await Deno.writeFile(imageFile(name), bytes);
        console.log(`${String(bytes.length).padStart(5)}  images/${name}`);
      }
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      console.error(`images: ${error.message}`);
      failures++;
    }
  }
  return failures === 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
