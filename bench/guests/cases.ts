/**
 * The guests to boot, and what each must do.
 *
 * @module
 */

import { projectFile } from "../process.ts";
import { type DebianPackages, fileIn } from "./debian.ts";
import { makeInitrd, SHELL_TEXT } from "./initrd.ts";

/** How a guest must end on vmexit. */
export interface Expectation {
  /** The text it must print, at which the clock stops. */
  readonly text?: RegExp;
  /** vmexit's exit code; without one, the guest is killed when the text appears. */
  readonly code?: number;
  /** The last line on stderr. */
  readonly message?: RegExp;
}

/** How to boot an image, on any program. */
export interface Boot {
  readonly image: string;
  readonly append?: string;
  readonly initrd?: string;
  /** How many vCPUs; default 1. */
  readonly cpus?: number;
  /** Further options for vmexit. */
  readonly options?: readonly string[];
}

/** A guest. */
export interface GuestCase {
  readonly name: string;
  /**
   * By what factor the first byte must come sooner than in QEMU; unset where it is
   * another byte.
   */
  readonly goal?: number;
  /** RAM, with a suffix that all programs accept. */
  readonly memory: string;
  /** How often to boot it in each program. */
  readonly rounds: number;
  readonly limitMs: number;
  /** The end where the processor runs the guest. */
  readonly native: Expectation;
  /** The end in KVM's instruction emulator, which lacks much; default: the same. */
  readonly emulated?: Expectation;
  /** Why QEMU cannot boot it, if it cannot. */
  readonly notInQemu?: string;
  /** Fetches and builds everything. @param folder for temporary files */
  prepare(debian: DebianPackages, folder: string): Promise<Boot>;
}

const SMALL = { goal: 5, memory: "128M", rounds: 3, limitMs: 20_000 } as const;
const LARGE = { memory: "256M", rounds: 1, limitMs: 300_000 } as const;
/** An emulation failure at one of these instructions. */
const lacks = (instruction: RegExp): Pick<Expectation, "code" | "message"> => ({
  code: 24,
  message: new RegExp(`cannot emulate "${instruction.source}`),
});

const own = (image: string, append?: string): GuestCase["prepare"] => () =>
  Promise.resolve({
    image: projectFile(`images/${image}`),
    ...(append === undefined ? {} : { append }),
  });

const memtest = (file: string): GuestCase => ({
  ...LARGE,
  goal: 1,
  name: file.replace(".bin", ""),
  native: { text: /Memtest86\+[^]*\d%/ },
  emulated: lacks(/wait|fninit/),
  async prepare(debian) {
    const root = await debian.unpack("memtest86+");
    return { image: `${root}/boot/${file}`, append: "console=ttyS0,115200" };
  },
});

/** Debian's cloud kernel with a shell. */
const CLOUD = {
  ...LARGE,
  native: { text: new RegExp(SHELL_TEXT), code: 0 },
} as const;

/** Prepares it. @param options for vmexit */
const cloud = (...options: readonly string[]): GuestCase["prepare"] => async (debian, folder) => {
  const kernel = await debian.dependency("linux-image-cloud-amd64", /^linux-image-\d/);
  const root = await debian.unpack(kernel);
  const busybox = `${await debian.unpack("busybox-static")}/bin/busybox`;
  return {
    image: await fileIn(`${root}/boot`, /^vmlinuz/),
    initrd: await makeInitrd(busybox, folder),
    append: "console=ttyS0 earlyprintk=serial,ttyS0",
    options,
  };
};

/** All guests, fastest first. */
export const GUESTS: readonly GuestCase[] = [
  {
    ...SMALL,
    name: "hello, Multiboot 1",
    native: { text: /Hello from Multiboot!/, code: 0 },
    prepare: own("hello.mb"),
  },
  {
    ...SMALL,
    name: "information, PVH",
    native: { text: /type=1\r?\n/, code: 0 },
    prepare: own("pvh-info.pvh"),
  },
  {
    ...SMALL,
    name: "information, bzImage",
    native: { text: /cmdline=of its own/, code: 0 },
    prepare: own("linux-info.bzimage", "of its own"),
  },
  {
    ...SMALL,
    name: "information, Multiboot 2",
    native: { text: /rsdp=RSD PTR/, code: 0 },
    notInQemu: "does not know Multiboot 2",
    prepare: own("mb2-info.mb2"),
  },
  memtest("memtest86+x64.bin"),
  memtest("memtest86+ia32.bin"),
  {
    ...LARGE,
    goal: 1,
    name: "Xen, Multiboot 1",
    native: { text: /Xen version/ },
    emulated: lacks(/rdssp/),
    async prepare(debian, folder) {
      const name = await debian.dependency("xen-system-amd64", /^xen-hypervisor-[\d.]+-amd64$/);
      const packed = await fileIn(`${await debian.unpack(name)}/boot`, /^xen-.*\.gz$/);
      const image = `${folder}/xen`;
      using file = await Deno.open(image, { write: true, create: true, truncate: true });
      const { body } = await fetch(`file://${packed}`);
      await body!.pipeThrough(new DecompressionStream("gzip")).pipeTo(file.writable);
      // Xen takes the first word for its own name, and expects BIOS services.
      return { image, append: "xen no-real-mode com1=115200,8n1 console=com1" };
    },
  },
  {
    ...LARGE,
    goal: 1,
    name: "ipxe.lkrn",
    native: { text: /iPXE 1\.\d+\.\d+/ },
    async prepare(debian) {
      return { image: `${await debian.unpack("ipxe")}/boot/ipxe.lkrn` };
    },
  },
  {
    ...CLOUD,
    name: "Linux, 16-bit entry",
    goal: 1,
    // The setup code's first words; each letter comes twice where the BIOS prints on the port too.
    // Then the kernel decompresses itself for minutes.
    emulated: { text: /P+r+o+b+i+n+g+/ },
    prepare: cloud("--boot", "linux:16"),
  },
  {
    ...CLOUD,
    name: "Linux, unpacked on the host",
    emulated: { text: /Linux version \d/, ...lacks(/lock cmpxchg16b/) },
    prepare: cloud("--decompress"),
  },
];
