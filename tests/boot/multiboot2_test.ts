import { assert, assertEquals, assertThrows } from "@std/assert";
import { detectProtocol, planBoot } from "../../src/boot/detect.ts";
import { ImageError } from "../../src/boot/image.ts";
import { findMultiboot2Header, planMultiboot2 } from "../../src/boot/multiboot2.ts";
import type { BootOptions, BootPlan } from "../../src/boot/plan.ts";
import { ramLayout } from "../../src/memory/ram.ts";
import {
  elf,
  HALT,
  imageFile,
  LOAD_ADDRESS,
  multibootHeader,
  PlannedMemory,
  refusalOf,
} from "../lib/images.ts";

const MIB = 2 ** 20;
const RAM: BootOptions = { ram: ramLayout(4 * MIB) };
const LOAD = Number(LOAD_ADDRESS);
/** Padding that puts the first segment of an ELF32 file at a multiple of eight. */
const ALIGN = 4;
const END: Tag = [0, 0, []];

/** A tag: type, flags, words; its size follows. */
type Tag = readonly [type: number, flags: number, words: readonly number[]];

function bytesOf(words: readonly number[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new Uint32Array(words.map((word) => word >>> 0)).buffer);
}

/** A header with these tags and an end. */
function header(tags: readonly Tag[], architecture = 0, end = END): Uint8Array<ArrayBuffer> {
  const words = [...tags, end].flatMap(([type, flags, content]) => [
    type | flags << 16,
    8 + content.length * 4,
    ...content,
    ...(content.length % 2 ? [0] : []),
  ]);
  const length = 16 + words.length * 4;
  const magic = 0xe852_50d6;
  return bytesOf([magic, architecture, length, -(magic + architecture + length), ...words]);
}

/** An ELF kernel with these tags in its header, entered there. */
function kernel(...tags: Tag[]): Uint8Array<ArrayBuffer> {
  return elf({ bits: 32, segments: [{ bytes: header(tags) }], gap: ALIGN });
}

/** A flat kernel that is loaded by its header's addresses. */
function flatKernel(addresses: readonly number[], ...tags: Tag[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array([...header([[2, 0, addresses], ...tags]), ...HALT]);
}

function refusal(image: Uint8Array, options: BootOptions = RAM): string {
  return refusalOf(() => planMultiboot2(image, options));
}

/** What a kernel finds at EBX: its tags, the end tag included. */
function information(plan: BootPlan): Map<number, DataView[]> {
  const memory = new PlannedMemory(plan);
  const at = plan.entry.registers!.rbx!;
  assertEquals(at % 8n, 0n);
  const bytes = memory.read(at, memory.u32(at));
  const view = new DataView(bytes.buffer);
  const tags = new Map<number, DataView[]>();
  for (let offset = 8;;) {
    const [type, size] = [view.getUint32(offset, true), view.getUint32(offset + 4, true)];
    tags.set(type, [...tags.get(type) ?? [], new DataView(bytes.buffer, offset, size)]);
    offset += Math.ceil(size / 8) * 8;
    if (type !== 0) continue;
    assertEquals(offset, bytes.length, "the end is where the total size says");
    return tags;
  }
}

function words(view: DataView): number[] {
  return Array.from({ length: view.byteLength >> 2 }, (_, i) => view.getUint32(i * 4, true));
}

function text(view: DataView, offset = 8): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + offset, view.byteLength - offset);
  assertEquals(bytes.at(-1), 0);
  return new TextDecoder().decode(bytes.subarray(0, -1));
}

Deno.test("a kernel is entered in protected mode with the magic in EAX and EBX at the information", () => {
  const plan = planMultiboot2(kernel(), RAM);
  assertEquals([plan.protocol, plan.entry.mode], ["multiboot2", "protected"]);
  assertEquals(plan.entry.registers!.rax, 0x36d7_6289n);
  assertEquals(plan.entry.rip, LOAD_ADDRESS);
  assertEquals(plan.description, "Multiboot 2 kernel (ELF32)");
});

Deno.test("an ELF64 kernel is entered in protected mode too", () => {
  const plan = planMultiboot2(elf({ bits: 64, segments: [{ bytes: header([]) }] }), RAM);
  assertEquals([plan.entry.mode, plan.description], ["protected", "Multiboot 2 kernel (ELF64)"]);
});

Deno.test("the header is found 8-byte aligned within the first 32768 bytes, and only there", () => {
  const at = (offset: number) =>
    findMultiboot2Header(new Uint8Array([...new Uint8Array(offset), ...header([])]))?.offset;
  for (const offset of [0, 8, 4096, 32768 - 24]) assertEquals(at(offset), offset);
  for (const offset of [4, 12, 32768 - 8]) assertEquals(at(offset), undefined);
  const wrong = header([]);
  wrong[12]! ^= 1;
  assertEquals(findMultiboot2Header(wrong), undefined);
  assertEquals(
    refusal(wrong),
    "no Multiboot 2 header (0xe85250d6) in the first 32768 bytes of the file; " +
      "the Multiboot 2 header at 0x0 is ignored: its checksum is 0x17adaf13, not 0x17adaf12",
  );
  assertEquals(
    refusal(HALT),
    "no Multiboot 2 header (0xe85250d6) in the first 32768 bytes of the file",
  );
});

Deno.test("--boot multiboot takes either version, the first where there are both", () => {
  const both = elf({
    bits: 32,
    segments: [{ bytes: new Uint8Array([...header([]), ...multibootHeader()]) }],
    gap: ALIGN,
  });
  assertEquals(planBoot(kernel(), "", "multiboot", RAM).protocol, "multiboot2");
  assertEquals(planBoot(both, "", "multiboot", RAM).protocol, "multiboot");
  assertEquals(planBoot(both, "", "multiboot2", RAM).protocol, "multiboot2");
  assertEquals(detectProtocol(kernel(), "kernel"), "multiboot2");
  assertEquals(detectProtocol(both, "kernel"), "multiboot");
});

Deno.test("a flat kernel is loaded and entered by the addresses in its tags", () => {
  const entry: Tag = [3, 0, [LOAD + 72]];
  const image = flatKernel([LOAD, LOAD, 0, LOAD + 0x1000], entry);
  const plan = planMultiboot2(image, RAM);
  assertEquals(plan.description, "Multiboot 2 kernel (loaded by its header)");
  assertEquals([plan.segments[0]!.gpa, plan.segments[0]!.sizeBytes], [LOAD_ADDRESS, 0x1000]);
  assertEquals(plan.entry.rip, LOAD_ADDRESS + 72n);
  const before = new Uint8Array([...new Uint8Array(64), ...image]);
  const whole = new Uint8Array(before);
  whole.set(flatKernel([LOAD + 64, 0xffff_ffff, 0, 0], [3, 0, [LOAD + 64]]), 64);
  assertEquals(planMultiboot2(whole, RAM).segments[0]!.bytes, whole, "-1: from the file's start");
});

Deno.test("impossible addresses are refused by field and value", () => {
  const refused: [number[], string][] = [
    [[LOAD, LOAD + 1, 0, 0], "header_addr 0x100000 is below load_addr 0x100001"],
    [[LOAD + 8, LOAD, 0, 0], "load_addr 0x100000 lies 0x8 bytes before the start of the file"],
    [[LOAD, LOAD, LOAD - 1, 0], "load_end_addr 0xfffff is below load_addr 0x100000"],
    [[LOAD, LOAD, 0, LOAD + 1], "bss_end_addr 0x100001 is below the end of the image 0x100041"],
  ];
  for (const [addresses, message] of refused) {
    const image = flatKernel(addresses, [3, 0, [LOAD]]);
    assertEquals(refusal(image), `Multiboot 2 header: ${message}`);
  }
  assertEquals(
    refusal(flatKernel([LOAD, LOAD, 0, 0])),
    "Multiboot 2 header: load addresses, but no tag 3 (entry address)",
  );
  assertEquals(
    refusal(flatKernel([LOAD, LOAD, 0, 0], [3, 0, [LOAD - 1]])),
    "Multiboot: entry 0xfffff lies in no loaded segment",
  );
});

Deno.test("without tag 2 the file must be ELF", () => {
  assertEquals(
    refusal(header([])),
    "Multiboot 2 header: there is no tag 2 (address), so the file must be ELF, but it is not",
  );
});

Deno.test("kernels for other architectures than i386 are refused", () => {
  assertEquals(refusal(header([], 4)), "Multiboot 2 header: architecture 0x4 is not i386 (0)");
});

Deno.test("tags that are unknown are refused, unless they are optional", () => {
  planMultiboot2(kernel([99, 1, [1, 2]]), RAM);
  assertEquals(
    refusal(kernel([99, 0, [1, 2]])),
    "Multiboot 2 header: tag type 0x63 at 0x10 is not in the specification, and not optional",
  );
});

Deno.test("tags that are too small or run past the header are refused", () => {
  assertEquals(
    refusal(kernel([2, 0, [1]])),
    "Multiboot 2 header: tag 2 at 0x10: size 0xc is too small",
  );
  const endless = header([], 0, [6, 0, []]);
  assert(refusal(endless).startsWith("Multiboot 2 header: tag type needs bytes 0x18"));
});

Deno.test("an end tag ends the header, whatever its size", () => {
  for (const size of [0, 4, 8, 0xffff_ffff]) {
    const image = kernel();
    const at = findMultiboot2Header(image)!.offset + 20;
    new DataView(image.buffer).setUint32(at, size, true);
    assertEquals(planMultiboot2(image, RAM).protocol, "multiboot2");
  }
});

Deno.test("a header that reaches beyond the first 32768 bytes is refused at once", () => {
  const tags = Array.from({ length: 4096 }, (): Tag => [11, 1, []]);
  assertEquals(
    refusal(header(tags)),
    "Multiboot 2 header: header_length 0x8018 reaches beyond the first 32768 bytes of the file",
  );
});

Deno.test("a request for undefined information is refused, unless it is optional", () => {
  planMultiboot2(kernel([1, 0, [1, 5, 8, 21]]), RAM);
  planMultiboot2(kernel([1, 1, [99]]), RAM);
  assertEquals(
    refusal(kernel([1, 0, [1, 99]])),
    "Multiboot 2 header: tag 1 (information request): mbi_tag_types has 0x63, which the " +
      "specification does not define, and is not optional",
  );
});

Deno.test("a kernel that asks for a framebuffer draws a warning and gets no tag", () => {
  const plan = planMultiboot2(kernel([5, 0, [1024, 768, 32]], [5, 1, [0, 0, 0]]), RAM);
  assertEquals(plan.warnings, [
    "the kernel asks for a framebuffer of 1024x768x32; there is no display, so it gets none",
    "the kernel asks for a framebuffer; there is no display, so it gets none",
  ]);
  assertEquals(information(plan).has(8), false);
});

Deno.test("a kernel that requires a console is refused", () => {
  planMultiboot2(kernel([4, 0, [2]], [4, 1, [1]]), RAM);
  assertEquals(
    refusal(kernel([4, 0, [3]])),
    "Multiboot 2 header: tag 4 (console flags): console_flags 0x3 demand a text console or " +
      "framebuffer; there is no display",
  );
});

Deno.test("the information has command line, loader, memory sizes and map", () => {
  const options = { ram: ramLayout(5 * 2 ** 30), commandLine: "quiet" };
  const tags = information(planMultiboot2(kernel(), options));
  assertEquals([...tags.keys()], [1, 2, 4, 6, 0]);
  assertEquals(text(tags.get(1)![0]!), "quiet");
  assertEquals(text(tags.get(2)![0]!), "vmexit");
  assertEquals(words(tags.get(4)![0]!).slice(2), [639, (3 * 2 ** 30 - MIB) / 1024]);
  const map = words(tags.get(6)![0]!);
  assertEquals(map.slice(2, 4), [24, 0], "entry size and version");
  assertEquals(map.slice(-6), [0, 1, 0x8000_0000, 0, 1, 0], "RAM above 4 GiB");
});

Deno.test("modules are listed with their names", () => {
  const modules = ["a", "second"].map((name) => ({ name, bytes: new Uint8Array(0x1001) }));
  const tags = information(planMultiboot2(kernel(), { ...RAM, modules })).get(3)!;
  assertEquals(tags.map((tag) => [...words(tag).slice(2, 4), text(tag, 16)]), [
    [0x10_1000, 0x10_2001, "a"],
    [0x10_3000, 0x10_4001, "second"],
  ]);
});

Deno.test("the ACPI root pointer is handed over as a copy, by its version", () => {
  const bytes = new Uint8Array(36).fill(0x42);
  const pointer = (length: number) =>
    information(planMultiboot2(kernel(), {
      ...RAM,
      rsdp: { gpa: 0xf_0000n, bytes: bytes.subarray(0, length) },
    }));
  assertEquals(pointer(36).get(15)![0]!.byteLength, 44);
  assertEquals(pointer(20).get(14)![0]!.byteLength, 28);
  assertEquals([pointer(20).has(15), pointer(36).has(14)], [false, false]);
});

Deno.test("a relocatable kernel learns where it was loaded", () => {
  const relocatable: Tag = [10, 0, [0, 0xffff_ffff, 0x1000, 0]];
  const tags = information(planMultiboot2(kernel(relocatable), RAM));
  assertEquals(words(tags.get(21)![0]!).slice(2), [LOAD]);
});

Deno.test("ELF sections are all in memory, and the headers say where", () => {
  const plan = planMultiboot2(imageFile("mb2-info.mb2"), RAM);
  const [, , count, size, names] = words(information(plan).get(9)![0]!);
  assertEquals([count, size], [3, 40]);
  const headers = words(information(plan).get(9)![0]!).slice(5);
  const [address, bytes] = [headers[names! * 10 + 3]!, headers[names! * 10 + 5]!];
  const strings = new PlannedMemory(plan).read(BigInt(address), bytes);
  assertEquals(new TextDecoder().decode(strings), "\0.shstrtab\0.text\0");
});

Deno.test("information too large for low memory is at the end of RAM, and reserved", () => {
  const modules = Array.from({ length: 10 }, (_, i) => ({
    name: `${i}`.repeat(4000),
    bytes: new Uint8Array(1),
  }));
  const plan = planMultiboot2(kernel(), { ...RAM, modules });
  const at = Number(plan.entry.registers!.rbx!);
  const map = words(information(plan).get(6)![0]!);
  assertEquals(map.slice(-6), [at, 0, 4 * MIB - at, 0, 2, 0]);
});

Deno.test("a file that is cut short anywhere is refused", () => {
  const image = kernel([1, 0, [1, 2]]);
  for (let length = 0; length < image.length; length++) {
    assertThrows(() => planMultiboot2(image.subarray(0, length), RAM), ImageError);
  }
});
