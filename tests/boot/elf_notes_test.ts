import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { planBoot } from "../../src/boot/detect.ts";
import { concat } from "../../src/bytes.ts";
import { ramLayout } from "../../src/memory/ram.ts";
import { parseElf } from "../../src/boot/elf_file.ts";
import { elfNotes, kernelNotes, kernelNotesOf } from "../../src/boot/elf_notes.ts";
import { ImageError } from "../../src/boot/image.ts";
import { elf, HALT, note } from "../lib/images.ts";

const PT_NOTE = 4;

function notesIn(bytes: Uint8Array, p_align = 4n) {
  const segments = [{ bytes: HALT }, { bytes, p_type: PT_NOTE, p_align }];
  return parseElf(elf({ segments }));
}

Deno.test("notes are read one after the other, owner and content each padded", () => {
  const bytes = new Uint8Array([
    ...note("Xen", 6, new Uint8Array([1, 2, 3])),
    ...note("Linux", 0x101, new Uint8Array()),
    ...note("", 7, new Uint8Array(4)),
  ]);
  assertEquals(
    elfNotes(notesIn(bytes)).map(({ owner, type, bytes }) => [owner, type, bytes.length]),
    [
      ["Xen", 6, 3],
      ["Linux", 0x101, 0],
      ["", 7, 4],
    ],
  );
});

Deno.test("notes in a segment aligned to 8 are padded to 8", () => {
  const bytes = new Uint8Array([...note("GNU", 5, HALT, 8), ...note("GNU", 6, HALT, 8)]);
  assertEquals(elfNotes(notesIn(bytes, 8n)).map(({ type }) => type), [5, 6]);
});

Deno.test("a note beyond its segment is refused, a rest shorter than a header ignored", () => {
  const whole = note("Xen", 18, new Uint8Array(4));
  assertEquals(elfNotes(notesIn(new Uint8Array([...whole, 0, 0, 0]))).length, 1);
  for (const [offset, field] of [[0, "n_namesz"], [4, "n_descsz"]] as const) {
    const broken = whole.slice();
    broken.fill(0xff, offset, offset + 4);
    const { message } = assertThrows(() => elfNotes(notesIn(broken)), ImageError);
    assertEquals(message.startsWith(`ELF note in program header 1: ${field} needs bytes`), true);
  }
});

Deno.test("the PVH entry is a note of 4 or 8 bytes", () => {
  const entry = (...bytes: number[]) =>
    kernelNotes(notesIn(note("Xen", 18, new Uint8Array(bytes)))).pvhEntry;
  assertEquals(entry(0x78, 0x56, 0x34, 0x12), 0x1234_5678n);
  assertEquals(entry(0x78, 0x56, 0x34, 0x12, 0, 0, 0, 1), 0x100_0000_1234_5678n);
  assertThrows(
    () => entry(1, 2),
    ImageError,
    "n_descsz 0x2 is not the size of an address (4 or 8)",
  );
});

Deno.test("other notes name no PVH entry, and those of Linux a Linux kernel", () => {
  const notes = (owner: string, type: number) =>
    kernelNotes(notesIn(note(owner, type, new Uint8Array(4))));
  assertEquals(notes("Xen", 17), { linux: false, xenOnly: true });
  assertEquals(notes("xen", 18), { linux: false, xenOnly: false });
  assertEquals(notes("Linux", 0x100), { linux: true, xenOnly: false });
  assertEquals(kernelNotesOf(elf()), { linux: false, xenOnly: false });
  assertEquals(kernelNotesOf(HALT), undefined);
});

/** Notes one after the other, each padded to `alignment`. */
function packed(alignment: number, ...notes: Parameters<typeof note>[]): Uint8Array {
  return concat(notes.map(([owner, type, content]) => note(owner, type, content, alignment)));
}

Deno.test("notes are found by the padding that makes sense of them, whatever p_align says", () => {
  const entry = new Uint8Array([0, 0, 0x10, 0]);
  const property: Parameters<typeof note> = ["GNU", 5, new Uint8Array(16)];
  const features: Parameters<typeof note> = ["Xen", 6, new Uint8Array(18)];
  const pvh: Parameters<typeof note> = ["Xen", 18, entry];
  for (const notes of [[features, pvh], [property, pvh], [pvh, features], [pvh, pvh, pvh]]) {
    for (const packing of [4, 8]) {
      for (const p_align of [0n, 3n, 4n, 8n, 0x1000n]) {
        const { pvhEntry } = kernelNotes(notesIn(packed(packing, ...notes), p_align));
        assertEquals(pvhEntry, 0x10_0000n, `${notes} packed by ${packing}, p_align ${p_align}`);
      }
    }
  }
});

Deno.test("p_memsz says nothing of notes", () => {
  const bytes = note("Xen", 18, new Uint8Array([0, 0, 0x10, 0]));
  const segments = [{ bytes: HALT }, { bytes, p_type: PT_NOTE, p_memsz: 0n }];
  assertEquals(kernelNotes(parseElf(elf({ segments }))).pvhEntry, 0x10_0000n);
});

Deno.test("notes that cannot be read are spoken of, and those of Xen refused", () => {
  const broken = (owner: string): Uint8Array => {
    const bytes = note(owner, 18, new Uint8Array(4));
    bytes.fill(0xff, 4, 8);
    return bytes;
  };
  assertThrows(() => kernelNotes(notesIn(broken("Xen"))), ImageError, "n_descsz needs bytes");
  assertStringIncludes(kernelNotes(notesIn(broken("GNU"))).unreadable!, "n_descsz needs bytes");
  const outside = { p_type: PT_NOTE, p_filesz: 0x20n, p_offset: 1n << 40n };
  const image = elf({ segments: [{ bytes: HALT }, outside] });
  assertStringIncludes(kernelNotes(parseElf(image)).unreadable!, "p_offset + p_filesz needs bytes");
  const { protocol, warnings } = planBoot(image, "", "auto", { ram: ramLayout(4 << 20) });
  assertEquals([protocol, warnings.length], ["elf", 1]);
  assertStringIncludes(warnings[0]!, "should it name a PVH entry, that is not used");
});
