/**
 * Reads the files that a command line names.
 *
 * @module
 */

import { SystemError } from "../../ffi/libc.ts";
import { compressionOf } from "../boot/compression.ts";
import { ImageError } from "../boot/image.ts";
import {
  BARE_PROTOCOLS,
  type BootModule,
  type BootOptions,
  type BootPlan,
  type BootProtocol,
  type Fact,
} from "../boot/plan.ts";
import { detectProtocol, planBoot } from "../boot/detect.ts";
import { firmwareOptions } from "../firmware/tables.ts";
import { hex } from "../hex.ts";
import type { MachineType } from "../machine/machine.ts";
import { MAX_RAM_BYTES, ramLayout } from "../memory/ram.ts";
import { PAGE_BYTES } from "../pages.ts";
import { readHostFile } from "../../ffi/host_file.ts";
import { withAdvice } from "./image_advice.ts";
import { findBundledImage, shortNames } from "./bundled_images.ts";
import { BOOT_CHOICES, type BootOption, type MACHINE_CHOICES } from "./options/options.ts";
import type { ParsedOptions } from "./options/parse.ts";
import { UsageError } from "./options/usage_error.ts";
import { parseAddress, parseChoice, parseSize } from "./options/values.ts";

const DEFAULT_MEMORY = "128M";
/** The seed for Linux' random number generator (setup_data SETUP_RNG_SEED). */
const RNG_SEED_BYTES = 32;
/** Larger files are not read. */
const MAX_FILE_BYTES = 2 ** 31;
/** What any file may decompress to; more if the guest has more RAM. Debug information is not loaded. */
const MIN_UNPACKED_BYTES = 2 ** 26;
/** The ends of compressed files' names; before them is the name that detection goes by. */
const COMPRESSED_NAME = /\.(gz|xz|zst)$/;

/**
 * Reads a whole file, or a pipe to its end.
 *
 * @param most how many bytes it may have
 * @throws {ImageError} when it cannot be read, or is too large
 */
export function readImageFile(path: string, most = MAX_FILE_BYTES): Uint8Array {
  const bytes = readOrExplain(path, most);
  if (bytes) return bytes;
  throw new ImageError(`${path} is larger than ${hex(most)} bytes, the most that is read`);
}

/** Whether a word looks like an image's name: a file, a bundled image, or a path. */
export function isImageName(word: string): boolean {
  if (word.startsWith("-")) return false;
  if (word.includes("/") || findBundledImage(word)) return true;
  try {
    return Deno.statSync(word).isFile;
  } catch {
    return false;
  }
}

/** What messages call standard input. */
const STDIN = "standard input";

/** The image that an operand names: `-`, a file, or else one of the bundled images. */
function readNamedImage(operand: string): { path: string; bytes: Uint8Array } {
  if (operand === "-") {
    if (Deno.stdin.isTerminal()) {
      throw new ImageError(`${STDIN} is a terminal; send an image to it: vmexit run - < IMAGE`);
    }
    return { path: STDIN, bytes: readImageFile("/dev/stdin") };
  }
  try {
    return { path: operand, bytes: readImageFile(operand) };
  } catch (error) {
    if (!(error instanceof ImageError && error.cause === "ENOENT")) throw error;
    const bundled = findBundledImage(operand);
    // An executable made by `deno compile` carries it in its own file system.
    if (bundled) return { path: bundled.name, bytes: Deno.readFileSync(bundled.path) };
    const names = operand.includes("/") ? [] : shortNames();
    if (names.length === 0) throw error;
    throw new ImageError(
      `${error.message}, nor is it a bundled image: ${names.join(", ")}`,
    );
  }
}

function readOrExplain(path: string, most: number): Uint8Array | undefined {
  try {
    return readHostFile(path, most);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    switch (error.code) {
      case "ENOENT":
        throw new ImageError(`${path} does not exist`, { cause: error.code });
      case "EISDIR":
        throw new ImageError(`${path} is a directory, not an image`);
      case "EACCES":
        throw new ImageError(`${path} cannot be read: permission denied; see its mode and owner`);
      default:
        throw new ImageError(`${path} cannot be read: ${error.text} (${error.code})`);
    }
  }
}

/** An image and the plan to boot it. */
export interface PlannedImage {
  readonly path: string;
  readonly sizeBytes: number;
  readonly memoryBytes: number;
  /** The machine that it is to run on. */
  readonly machine: MachineType;
  readonly plan: BootPlan;
}

/** The machine that an image is planned for, as far as the boot depends on it. */
export interface PlannedFor {
  readonly cpus: number;
  readonly machine: typeof MACHINE_CHOICES[number];
}

/**
 * Reads the image and its modules and plans the boot, by the options that `run` and `inspect`
 * share.
 *
 * @throws {UsageError} @throws {ImageError}
 */
export async function planImage(
  options: ParsedOptions<BootOption>,
  { cpus, machine: type }: PlannedFor = { cpus: 1, machine: "auto" },
): Promise<PlannedImage> {
  const { memoryBytes, protocol, loadAddress, entry } = parseBootValues(options);
  const modules = options.values("initrd").map(readModule);
  const boot: BootOptions = {
    ram: ramLayout(memoryBytes),
    commandLine: options.value("append") ?? "",
    modules,
    rngSeed: crypto.getRandomValues(new Uint8Array(RNG_SEED_BYTES)),
    ...(loadAddress === undefined ? {} : { loadAddress }),
    ...(entry === undefined ? {} : { entry }),
  };
  const { path, bytes: file } = readNamedImage(options.operands[0]!);
  try {
    const maxBytes = Math.max(memoryBytes, MIN_UNPACKED_BYTES);
    const unpacked = compressionOf(file) &&
      await (await decompressor()).unpackFile(file, maxBytes);
    const image = unpacked ? unpacked.bytes : file;
    const name = unpacked ? path.replace(COMPRESSED_NAME, "") : path;
    const chosen = protocol === "auto" ? detectProtocol(image, name) : protocol;
    const machine = type === "auto" ? usualMachine(chosen) : type;
    const payload = options.flag("decompress")
      ? await (await decompressor()).unpackKernel(image, maxBytes)
      : undefined;
    const plan = planBoot(image, name, protocol, {
      ...boot,
      ...(machine === "pc" ? firmwareOptions(boot.ram, cpus) : {}),
      // Any kernel finds it in a PC's fw_cfg.
      ...(machine === "pc" && BARE_PROTOCOLS.includes(chosen) ? { commandLine: "" } : {}),
      ...(payload ? { payload } : {}),
    });
    const compression: Fact[] = unpacked ? [["compression", unpacked.format, "of the file"]] : [];
    return {
      path,
      sizeBytes: file.length,
      memoryBytes,
      machine,
      plan: { ...plan, facts: [...compression, ...plan.facts] },
    };
  } catch (error) {
    if (error instanceof ImageError) throw new ImageError(`${path}: ${withAdvice(error)}`);
    throw error;
  }
}

/** How an image is to be booted. */
export interface BootValues {
  readonly memoryBytes: number;
  readonly protocol: typeof BOOT_CHOICES[number];
  readonly loadAddress: bigint | undefined;
  readonly entry: bigint | undefined;
}

/** Reads the values of the options that `run` and `inspect` share. @throws {UsageError} */
export function parseBootValues(options: ParsedOptions<BootOption>): BootValues {
  const address = (name: "load-address" | "entry"): bigint | undefined => {
    const text = options.value(name);
    return text === undefined ? undefined : parseAddress(`--${name}`, text);
  };
  return {
    memoryBytes: parseMemory(options.value("memory") ?? DEFAULT_MEMORY),
    protocol: parseChoice("--boot", options.value("boot") ?? "auto", BOOT_CHOICES),
    loadAddress: address("load-address"),
    entry: address("entry"),
  };
}

function usualMachine(protocol: BootProtocol): MachineType {
  return BARE_PROTOCOLS.includes(protocol) ? "bare" : "pc";
}

/** Loaded when an image is compressed, and only then. */
const decompressor = () => import("../boot/decompress.ts");

/**
 * A module: `FILE` or `FILE,ARGUMENTS`. A file with a comma in its name is found, too.
 *
 * @throws {ImageError} when the file cannot be read
 */
function readModule(text: string): BootModule {
  try {
    return { name: text, bytes: readImageFile(text) };
  } catch (error) {
    const [, name, given] = /^(.+?),(.*)$/s.exec(text) ?? [];
    if (!(error instanceof ImageError && error.cause === "ENOENT") || name === undefined) {
      throw error;
    }
    return { name, bytes: readImageFile(name), arguments: given! };
  }
}

function parseMemory(text: string): number {
  const bytes = parseSize("--memory", text);
  if (bytes === 0) throw new UsageError("--memory: a guest needs at least 4K");
  if (bytes % PAGE_BYTES !== 0) {
    // QEMU's -m counts in MiB.
    const hint = bytes < PAGE_BYTES ? `; for MiB write ${bytes}M` : "";
    throw new UsageError(
      `--memory: ${hex(bytes)} bytes is not a whole number of pages of ${hex(PAGE_BYTES)}${hint}`,
    );
  }
  if (bytes > MAX_RAM_BYTES) {
    throw new UsageError(
      `--memory: ${hex(bytes)} bytes is more than a guest can have; the most is 1T`,
    );
  }
  return bytes;
}
