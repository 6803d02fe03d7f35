import { assertEquals } from "@std/assert";
import { CmosRtc } from "../../src/devices/cmos_rtc.ts";
import { ramLayout } from "../../src/memory/ram.ts";

const MIB = 2 ** 20;
const [A, B, C, D] = [0x0a, 0x0b, 0x0c, 0x0d] as const;
const BINARY = 0x04;
const HOURS_24 = 0x02;
const SET = 0x80;

function cmos(options: { memoryBytes?: number; cpus?: number; at?: string } = {}) {
  const { memoryBytes = 128 * MIB, cpus = 1, at = "2026-11-21T17:04:05.100Z" } = options;
  const time = { ms: Date.parse(at) };
  const device = new CmosRtc({ ram: ramLayout(memoryBytes), cpus }, () => new Date(time.ms));
  const read = (register: number): number => {
    device.write(0, 1, register);
    return device.read(1);
  };
  const write = (register: number, value: number): void => {
    device.write(0, 1, register);
    device.write(1, 1, value);
  };
  const date = (): string =>
    [0x32, 9, 8, 7, 4, 2, 0].map((r) => read(r).toString(16).padStart(2, "0")).join(" ");
  return { device, time, read, write, date };
}

Deno.test("the clock shows the time in BCD and 24 hours, and runs", () => {
  const { date, read, time } = cmos();
  assertEquals(date(), "20 26 11 21 17 04 05");
  assertEquals(read(6), 7, "a Saturday");
  time.ms += 86_400_000 + 55_000;
  assertEquals([date(), read(6)], ["20 26 11 22 17 05 00", 1]);
});

Deno.test("status B chooses binary numbers and the 12-hour clock", () => {
  const { date, read, write, time } = cmos();
  write(B, BINARY | HOURS_24);
  assertEquals(date(), "14 1a 0b 15 11 04 05");
  write(B, 0);
  const hours: [hour: number, shown: number][] = [
    [0, 0x12],
    [1, 0x01],
    [11, 0x11],
    [12, 0x92],
    [13, 0x81],
    [23, 0x91],
  ];
  for (const [hour, shown] of hours) {
    time.ms = Date.UTC(2026, 0, 1, hour);
    assertEquals(read(4), shown, `${hour}:00`);
  }
});

Deno.test("a guest sets the stopped clock, in any mode, and it runs on from there", () => {
  for (const mode of [HOURS_24, BINARY | HOURS_24, 0, BINARY]) {
    const { date, write, time } = cmos();
    const encode = (n: number): number => mode & BINARY ? n : Math.floor(n / 10) * 16 + n % 10;
    const hour = mode & HOURS_24 ? encode(23) : encode(11) | 0x80;
    write(B, mode | SET);
    const [century, year, month, day, minute, second] = [19, 99, 12, 31, 59, 58].map(encode);
    write(0x32, century!);
    write(9, year!);
    write(8, month!);
    write(7, day!);
    write(4, hour);
    write(2, minute!);
    time.ms += 10_000;
    write(0, second!);
    time.ms += 10_000;
    write(B, HOURS_24 | SET);
    assertEquals(date(), "19 99 12 31 23 59 58", "it stands still");
    write(B, HOURS_24);
    time.ms += 3_000;
    assertEquals(date(), "20 00 01 01 00 00 01");
  }
});

Deno.test("a running clock can be set, too, and nonsense does no harm", () => {
  const { date, write, read } = cmos();
  write(2, 0x30);
  assertEquals(date(), "20 26 11 21 17 30 05");
  for (let register = 0; register < 0x80; register++) write(register, 0xff);
  for (let register = 0; register < 0x80; register++) {
    const value = read(register);
    assertEquals(value & 0xff, value);
  }
});

Deno.test("the last moment of a second has an update in progress, unless the clock is stopped", () => {
  const { read, write, time } = cmos();
  assertEquals(read(A), 0x26);
  time.ms += 899;
  assertEquals(read(A), 0xa6);
  write(B, SET | HOURS_24);
  assertEquals(read(A), 0x26);
  write(A, 0xff);
  assertEquals(read(A), 0x7f);
});

Deno.test("register C reports updates and periods once, and whether they would interrupt", () => {
  const { read, write, time } = cmos();
  assertEquals(read(C), 0);
  time.ms += 1_000;
  assertEquals([read(C), read(C)], [0x50, 0]);
  write(A, 0x20); // no periods
  time.ms += 1_000;
  write(B, HOURS_24 | 0x10);
  assertEquals([read(C), read(C)], [0x90, 0]);
  write(A, 0x2f); // 2 Hz
  time.ms += 499;
  assertEquals(read(C) & 0x40, 0x40);
  time.ms += 100;
  assertEquals(read(C) & 0x40, 0);
});

Deno.test("the memory is valid, RAM except for the clock's registers, and the index cannot be read", () => {
  const { device, read, write } = cmos();
  assertEquals(read(D), 0x80);
  write(D, 0);
  assertEquals(read(D), 0x80);
  for (const register of [0x0e, 0x0f, 0x40, 0x7f]) {
    write(register, 0xa5);
    assertEquals(read(register), 0xa5);
  }
  assertEquals(device.read(0), 0xff);
});

Deno.test("the index's top bit masks NMIs and is not part of the index", () => {
  const { device, write, read } = cmos();
  write(0x40, 0x77);
  device.write(0, 1, 0xc0);
  assertEquals(device.read(1), 0x77);
  assertEquals(read(0x40), 0x77);
});

for (
  const [memoryBytes, base, extended, above16M, above4G] of [
    [512 * 1024, 512, 0, 0, 0],
    [8 * MIB, 640, 7 * 1024, 0, 0],
    [128 * MIB, 640, 0xffff, 112 * 16, 0],
    [3072 * MIB, 640, 0xffff, (3072 - 16) * 16, 0],
    [5 * 1024 * MIB, 640, 0xffff, (3072 - 16) * 16, 2048 * 16],
    [8 * MIB * MIB, 640, 0xffff, (3072 - 16) * 16, 0xff_ffff],
  ] as const
) {
  Deno.test(`memory sizes: ${memoryBytes / MIB} MiB`, () => {
    const { read } = cmos({ memoryBytes });
    const word = (at: number): number => read(at) | read(at + 1) << 8;
    assertEquals(
      [word(0x15), word(0x17), word(0x30), word(0x34), word(0x5b) | read(0x5d) << 16],
      [base, extended, extended, above16M, above4G],
    );
  });
}

Deno.test("the RAM has the number of processors, less one", () => {
  for (const cpus of [1, 4, 256]) assertEquals(cmos({ cpus }).read(0x5f), cpus - 1);
});

/** The time of day 17:04:05.100, and the interrupt line's changes. */
function interrupting() {
  const time = { ms: Date.parse("2026-11-21T17:04:05.100Z") };
  const levels: boolean[] = [];
  let changes = 0;
  const ram = ramLayout(MIB);
  const device = new CmosRtc({ ram, cpus: 1 }, () => new Date(time.ms), (level) => {
    if (level !== (levels.at(-1) ?? false)) levels.push(level);
  }, () => changes++);
  const read = (register: number): number => {
    device.write(0, 1, register);
    return device.read(1);
  };
  const write = (register: number, value: number): void => {
    device.write(0, 1, register);
    device.write(1, 1, value);
  };
  return { device, time, levels, read, write, changes: () => changes };
}

Deno.test("the end of an update interrupts if enabled, until register C is read", () => {
  const { device, time, levels, read, write, changes } = interrupting();
  assertEquals(device.dueInMs, Infinity);
  write(B, HOURS_24 | 0x10);
  assertEquals(changes() > 0, true);
  assertEquals(device.dueInMs, 900);
  device.poll();
  assertEquals(levels, []);
  time.ms += 900;
  device.poll();
  assertEquals([levels, device.dueInMs], [[true], Infinity]);
  time.ms += 1000;
  device.poll();
  assertEquals(read(C), 0xd0);
  assertEquals([levels, device.dueInMs], [[true, false], 1000]);
});

Deno.test("periods interrupt at the rate of register A, and are due no more often than the host can serve", () => {
  const { device, time, levels, read, write } = interrupting();
  write(A, 0x2a); // 64 Hz
  write(B, HOURS_24 | 0x40);
  assertEquals(device.dueInMs > 0 && device.dueInMs <= 15.625, true);
  for (let i = 0; i < 64; i++) {
    time.ms += 15.625;
    device.poll();
    assertEquals(read(C) & 0xc0, 0xc0);
  }
  assertEquals(levels.length, 128);
  write(A, 0x23); // 8192 Hz
  assertEquals(device.dueInMs, 0.5);
});

Deno.test("a pending event interrupts as soon as it is enabled", () => {
  const { device, time, levels, write } = interrupting();
  time.ms += 1000;
  write(B, HOURS_24 | 0x10);
  assertEquals([levels, device.dueInMs], [[true], Infinity]);
});

for (
  const [what, mode, alarm, waits] of [
    ["at one time of the day", HOURS_24, [0x17, 0x04, 0x07], 1_900],
    ["in binary", HOURS_24 | BINARY, [17, 5, 0], 54_900],
    ["in the afternoon", 0, [0x85, 0x04, 0x07], 1_900],
    ["every hour", HOURS_24, [0xff, 0x04, 0x05], 3_599_900],
    ["every minute", HOURS_24, [0xff, 0xc0, 0x04], 58_900],
    ["every second", HOURS_24, [0xff, 0xff, 0xff], 900],
    ["tomorrow", HOURS_24, [0x00, 0x00, 0x00], 24_954_900],
    ["never", HOURS_24, [0x17, 0x61, 0xff], Infinity],
  ] as const
) {
  Deno.test(`an alarm ${what} is due on time`, () => {
    const { device, time, levels, read, write } = interrupting();
    write(B, mode | 0x20);
    [5, 3, 1].forEach((register, i) => write(register, alarm[i]!));
    assertEquals(device.dueInMs, waits);
    if (waits === Infinity) return;
    time.ms += waits - 1;
    device.poll();
    assertEquals(levels, []);
    time.ms += 1;
    device.poll();
    assertEquals(levels, [true]);
    assertEquals(read(C) & 0xa0, 0xa0);
  });
}

Deno.test("a stopped clock has neither updates nor alarms", () => {
  const { device, time, levels, read, write } = interrupting();
  [5, 3, 1].forEach((register) => write(register, 0xff));
  write(B, HOURS_24 | SET | 0x30);
  assertEquals(read(B), HOURS_24 | SET | 0x20, "it forgets that updates may interrupt");
  assertEquals(device.dueInMs, Infinity);
  time.ms += 5_000;
  device.poll();
  assertEquals([levels, read(C) & 0x30], [[], 0]);
});
