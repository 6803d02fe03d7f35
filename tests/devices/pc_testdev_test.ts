import { assertEquals } from "@std/assert";
import { PcTestDev } from "../../src/devices/pc_testdev.ts";

function testdev() {
  const log: string[] = [];
  const device = new PcTestDev({
    irq: (line) => (level) => log.push(`irq ${line} ${level}`),
    flushPage: (gpa) => log.push(`flush ${gpa.toString(16)}`),
  });
  return { device, log };
}

Deno.test("four bytes of memory are accessed at any width, at two places", () => {
  const { device: { data, bytes: [first, third] } } = testdev();
  data.write(0, 4, 0x8433_2211);
  assertEquals(data.read(0, 4), 0x8433_2211);
  assertEquals([data.read(1, 2), data.read(3, 1)], [0x3322, 0x84]);
  data.write(1, 2, 0xbbaa);
  assertEquals([first.read(0, 1), third.read(0, 1), third.read(1, 1)], [0x11, 0xbb, 0x84]);
  third.write(1, 1, 0x55);
  assertEquals(data.read(0, 4), 0x55bb_aa11);
  assertEquals(first.accessBytes, 1);
});

Deno.test("a line is raised by anything but zero, and lowered by zero", () => {
  const { device: { irq }, log } = testdev();
  irq.write(0, 1, 1);
  irq.write(23, 1, 0x80);
  irq.write(0, 1, 0);
  assertEquals(log, ["irq 0 true", "irq 23 true", "irq 0 false"]);
  assertEquals(irq.read(0, 1), 0);
});

Deno.test("a page is flushed by its address in four bytes", () => {
  const { device: { flush }, log } = testdev();
  flush.write(0, 4, 0x1234_5678);
  flush.write(0, 4, 0xffff_ffff);
  flush.write(0, 2, 0x1000);
  flush.write(2, 1, 0x10);
  assertEquals(log, ["flush 12345000", "flush fffff000"]);
  assertEquals(flush.read(0, 4), 0);
});

Deno.test("the MMIO range is 64 KiB of memory", () => {
  const { device: { iomem } } = testdev();
  iomem.write(0, 4, 0xdead_beef);
  iomem.write(0xfffc, 4, 0x0102_0304);
  assertEquals([iomem.read(0, 4), iomem.read(2, 2), iomem.read(0xffff, 1)], [
    0xdead_beef,
    0xdead,
    0x01,
  ]);
});
