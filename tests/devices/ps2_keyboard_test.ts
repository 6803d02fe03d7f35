import { assertEquals } from "@std/assert";
import { Ps2Keyboard } from "../../src/devices/ps2_keyboard.ts";

const ACK = 0xfa;

for (
  const [what, bytes, answer] of [
    ["reset, and passes its self-test", [0xff], [ACK, 0xaa]],
    ["identification, as an MF2 keyboard", [0xf2], [ACK, 0xab, 0x83]],
    ["echo", [0xee], [0xee]],
    ["LEDs and their argument", [0xed, 0x07], [ACK, ACK]],
    ["repeat rate and its argument", [0xf3, 0x20], [ACK, ACK]],
    ["enable, disable and defaults", [0xf4, 0xf5, 0xf6], [ACK, ACK, ACK]],
    ["kinds of all keys", [0xf7, 0xf8, 0xf9, 0xfa], [ACK, ACK, ACK, ACK]],
    ["the kind of one key", [0xfb, 0x1c, 0xfc, 0x1c, 0xfd, 0x1c], [ACK, ACK, ACK, ACK, ACK, ACK]],
    ["the scancode set, which it keeps", [0xf0, 0x01, 0xf0, 0x00], [ACK, ACK, ACK, ACK, 1]],
    ["a reset, which restores scancode set 2", [0xf0, 1, 0xff, 0xf0, 0], [
      ...[ACK, ACK],
      ...[ACK, 0xaa],
      ...[ACK, ACK, 2],
    ]],
    ["resend, with its last byte", [0xf2, 0xfe], [ACK, 0xab, 0x83, 0x83]],
    ["a command in place of an argument", [0xed, 0xf4], [ACK, ACK]],
    ["no such scancode set", [0xf0, 4], [ACK, 0xfe]],
    ["no such command", [0x42, 0xef], [0xfe, 0xfe]],
  ] as const
) {
  Deno.test(`the keyboard answers ${what}`, () => {
    const keyboard = new Ps2Keyboard();
    assertEquals(bytes.flatMap((byte) => [...keyboard.receive(byte)]), [...answer]);
  });
}
