import { assertEquals, assertThrows } from "@std/assert";
import { parseElf } from "../../src/boot/elf.ts";
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
  assertEquals(notes("Xen", 17), { linux: false });
  assertEquals(notes("xen", 18), { linux: false });
  assertEquals(notes("Linux", 0x100), { linux: true });
  assertEquals(kernelNotesOf(elf()), { linux: false });
  assertEquals(kernelNotesOf(HALT), undefined);
});
