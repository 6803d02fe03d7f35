import { assert, assertEquals, assertFalse, assertGreaterOrEqual, assertThrows } from "@std/assert";
import {
  GUEST_MEMFD_FLAG,
  KVM_IOEVENTFD_FLAG,
  KVM_IRQ_ROUTING_TYPE,
  KVM_IRQCHIP,
  KVM_MEM,
  KVM_MEMORY_ATTRIBUTE_PRIVATE,
  KVM_MSR_EXIT_REASON,
} from "../../ffi/kvm_consts.ts";
import { close, eventfd, read, SystemError, write } from "../../ffi/libc.ts";
import { DisposedError } from "../../src/kvm/descriptor.ts";
import { Kvm } from "../../src/kvm/kvm.ts";
import { code, TestGuest } from "../lib/guest.ts";
import { kvmTest } from "../lib/kvm.ts";

/** A GPA outside of the test guests' RAM. */
const NOWHERE = 0x1000_0000n;
/** 64-bit `mov al, [rdi]; out 0x80, al`. */
const LOAD_AND_TELL = code("8a 07 e6 80");

function failure(fn: () => unknown): string {
  return assertThrows(fn, SystemError).message;
}

/** What the guest says that it read from where RDI points. */
function load(guest: TestGuest, gpa: bigint): number | string {
  guest.vcpu.cycle.completePending(); // or the last load's data would come in first
  guest.enterLong(LOAD_AND_TELL, 0, { rdi: gpa });
  const exit = guest.run();
  return exit.reason === "IO" ? exit.data[0]! : exit.reason;
}

/** The next exit, where it is port output: its port and first byte. */
function nextOut(guest: TestGuest): [port: number, value: number] {
  const exit = guest.run();
  assert(exit.reason === "IO" && exit.direction === "out", exit.reason);
  return [exit.port, exit.data[0]!];
}

kvmTest("a slot gives the guest host memory, and one of size 0 takes it away", () => {
  using guest = new TestGuest();
  guest.ram[0x8_0000] = 0x5a;
  assertEquals(load(guest, NOWHERE), "MMIO");
  const slot = { slot: 1, gpa: NOWHERE, sizeBytes: 4096, hva: guest.hva + 0x8_0000n };
  guest.vm.setUserMemoryRegion(slot);
  assertEquals(load(guest, NOWHERE), 0x5a);
  guest.vm.setUserMemoryRegion({ ...slot, sizeBytes: 0 });
  assertEquals(load(guest, NOWHERE), "MMIO");
});

kvmTest("slots that overlap are refused", () => {
  using guest = new TestGuest();
  const message = failure(() =>
    guest.vm.setUserMemoryRegion({ slot: 1, gpa: 0x1000n, sizeBytes: 4096, hva: guest.hva })
  );
  assertEquals(message, "ioctl(KVM_SET_USER_MEMORY_REGION): File exists (EEXIST)");
});

kvmTest("a write to a read-only slot is an MMIO exit", () => {
  using guest = new TestGuest();
  const flags = KVM_MEM.READONLY;
  const slot = { slot: 1, flags, gpa: NOWHERE, sizeBytes: 4096, hva: guest.hva + 0x8_0000n };
  guest.vm.setUserMemoryRegion(slot);
  guest.enterLong(code("88 07"), 0, { rdi: NOWHERE }); // mov [rdi], al
  const exit = guest.run();
  assert(exit.reason === "MMIO");
  assertEquals([exit.gpa, exit.direction], [NOWHERE, "write"]);
});

kvmTest("KVM_SET_USER_MEMORY_REGION2 without a guest_memfd makes an ordinary slot", () => {
  using guest = new TestGuest();
  guest.ram[0x8_0000] = 0xa5;
  const slot = { slot: 1, gpa: NOWHERE, sizeBytes: 4096, hva: guest.hva + 0x8_0000n };
  guest.vm.setUserMemoryRegion2(slot);
  assertEquals(load(guest, NOWHERE), 0xa5);
});

kvmTest("a guest_memfd has a descriptor, backs a slot, and is closed with its VM", () => {
  using guest = new TestGuest();
  if (guest.kvm.checkExtension("GUEST_MEMFD") === 0) {
    assertThrows(() => guest.vm.createGuestMemfd(4096), SystemError, "KVM_CREATE_GUEST_MEMFD");
    return;
  }
  const memfd = guest.vm.createGuestMemfd(0x1_0000, GUEST_MEMFD_FLAG.MMAP);
  assertEquals(Deno.statSync(`/proc/self/fd/${memfd.fd}`).size, 0x1_0000);
  guest.vm.setUserMemoryRegion2({
    slot: 1,
    flags: KVM_MEM.GUEST_MEMFD,
    gpa: NOWHERE,
    sizeBytes: 0x8000,
    hva: guest.hva,
    guestMemfd: memfd.fd,
    guestMemfdOffset: 0x8000n,
  });
  assertEquals(
    failure(() => guest.vm.createGuestMemfd(4097)),
    "ioctl(KVM_CREATE_GUEST_MEMFD): Invalid argument (EINVAL)",
  );
  guest.vm[Symbol.dispose]();
  assert(memfd.disposed);
});

kvmTest("memory attributes are set where KVM has them, else the ioctl is named", () => {
  using guest = new TestGuest();
  const make = () => guest.vm.setMemoryAttributes(0n, 4096n, KVM_MEMORY_ATTRIBUTE_PRIVATE);
  const known = BigInt(guest.vm.checkExtension("MEMORY_ATTRIBUTES"));
  if (known & KVM_MEMORY_ATTRIBUTE_PRIVATE) make();
  else assertThrows(make, SystemError, "ioctl(KVM_SET_MEMORY_ATTRIBUTES)");
});

kvmTest("the dirty log has the page that the guest wrote, once", () => {
  using guest = new TestGuest({ slotFlags: KVM_MEM.LOG_DIRTY_PAGES });
  const pages = guest.ram.length / 4096;
  guest.enterReal(code("a2 00 50 f4")); // mov [0x5000], al; hlt
  guest.vm.dirtyLog(0, pages);
  assertEquals(guest.run().reason, "HLT");
  const bitmap = guest.vm.dirtyLog(0, pages);
  assertEquals(bitmap.length, pages / 8);
  assertEquals([...bitmap].flatMap((byte, i) => byte ? [[i, byte]] : []), [[0, 1 << 5]]);
  assertFalse(guest.vm.dirtyLog(0, pages).some((byte) => byte));
});

kvmTest("a slot without a log has none to give", () => {
  using guest = new TestGuest();
  assertEquals(
    failure(() => guest.vm.dirtyLog(0, 512)),
    "ioctl(KVM_GET_DIRTY_LOG): No such file or directory (ENOENT)",
  );
});

kvmTest("addresses for real mode are taken below 4 GiB and before the first vCPU", () => {
  using guest = new TestGuest(); // which has set both
  assertEquals(
    failure(() => guest.vm.setIdentityMapAddress(0xfffb_c000n)),
    "ioctl(KVM_SET_IDENTITY_MAP_ADDR): Invalid argument (EINVAL)",
  );
  assertEquals(
    failure(() => guest.vm.setTssAddress(0xffff_f000)),
    "ioctl(KVM_SET_TSS_ADDR): Invalid argument (EINVAL)",
  );
});

kvmTest("an interrupt controller is made once, and before the first vCPU", () => {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  vm.createIrqchip();
  assertEquals(
    failure(() => vm.createIrqchip()),
    "ioctl(KVM_CREATE_IRQCHIP): File exists (EEXIST)",
  );
  using late = new TestGuest();
  assertEquals(
    failure(() => late.vm.createIrqchip()),
    "ioctl(KVM_CREATE_IRQCHIP): Invalid argument (EINVAL)",
  );
});

kvmTest("the timer in the kernel answers its ports without an exit, and needs the irqchip", () => {
  const readCounter0 = code("e4 40 e6 80"); // in al, 0x40; out 0x80, al
  using without = new TestGuest();
  without.enterReal(readCounter0);
  const exit = without.run();
  assert(exit.reason === "IO" && exit.port === 0x40);
  assertEquals(
    failure(() => without.vm.createPit2()),
    "ioctl(KVM_CREATE_PIT2): No such file or directory (ENOENT)",
  );

  using guest = new TestGuest({ irqchip: true });
  guest.vm.createPit2();
  guest.enterReal(readCounter0);
  assertEquals(nextOut(guest)[0], 0x80);
});

/**
 * A real-mode guest that sets the interrupt controllers up with vectors from 0x40
 * on, lets only IRQ 5 and the local APIC through, writes to port 0x80 and sleeps.
 * Vector 0x45 writes to port 0x81.
 */
function sleeper(): TestGuest {
  const guest = new TestGuest({ irqchip: true });
  guest.ram.set(code("00 20 00 00"), 0x45 * 4); // vector 0x45: 0000:2000
  guest.ram.set(code("e6 81 f4"), 0x2000);
  guest.enterReal(code(`
    b0 11 e6 20  b0 40 e6 21  b0 04 e6 21  b0 01 e6 21
    b0 df e6 21
    fb
    e6 80
    f4 eb fd`));
  assertEquals(nextOut(guest)[0], 0x80);
  return guest;
}

kvmTest("raising an interrupt line wakes a guest that halted in the kernel", () => {
  using guest = sleeper();
  guest.vm.setIrqLine(5, true);
  assertEquals(nextOut(guest)[0], 0x81);
});

kvmTest("an eventfd that is an irqfd wakes a guest that halted in the kernel", () => {
  using guest = sleeper();
  const fd = eventfd();
  guest.vm.irqfd({ fd, gsi: 5 });
  write(fd, new Uint8Array(new BigUint64Array([1n]).buffer));
  assertEquals(nextOut(guest)[0], 0x81);
  close(fd);
});

kvmTest("a message-signalled interrupt wakes a guest that halted in the kernel", () => {
  using guest = sleeper();
  const lapic = guest.vcpu.lapic();
  new DataView(lapic.buffer).setUint32(0xf0, 0x1ff, true); // spurious vector: APIC enabled
  guest.vcpu.setLapic(lapic);
  guest.vm.signalMsi({ address_lo: 0xfee0_0000, data: 0x45 });
  assertEquals(nextOut(guest)[0], 0x81);
});

kvmTest("without an irqchip there are no lines and no messages", () => {
  using guest = new TestGuest();
  assertThrows(() => guest.vm.setIrqLine(5, true), SystemError, "ioctl(KVM_IRQ_LINE)");
  assertThrows(() => guest.vm.signalMsi({}), SystemError, "ioctl(KVM_SIGNAL_MSI)");
});

kvmTest("a guest's OUT to an ioeventfd signals it, and is no exit", () => {
  using guest = new TestGuest();
  const fd = eventfd();
  const event = { addr: 0x80n, len: 1, fd, flags: KVM_IOEVENTFD_FLAG.PIO };
  guest.vm.ioeventfd(event);
  guest.enterReal(code("b0 42 e6 80 e6 80 e6 81 e6 80")); // mov al, 0x42; out 0x80, al; …
  assertEquals(nextOut(guest), [0x81, 0x42]);
  const counter = new BigUint64Array(1);
  read(fd, new Uint8Array(counter.buffer));
  assertEquals(counter[0], 2n);

  guest.vm.ioeventfd({ ...event, flags: event.flags | KVM_IOEVENTFD_FLAG.DEASSIGN });
  assertEquals(nextOut(guest), [0x80, 0x42]);
  close(fd);
});

kvmTest("the clock is what it was set to, and keeps ticking", () => {
  using guest = new TestGuest();
  const hour = 3_600_000_000_000n;
  guest.vm.setClock({ clock: hour });
  const first = guest.vm.clock().clock;
  assertGreaterOrEqual(first, hour);
  assertGreaterOrEqual(guest.vm.clock().clock, first);
  assert(first < 2n * hour);
});

kvmTest("a capability is enabled with its arguments: unknown MSRs become exits", () => {
  using guest = new TestGuest();
  guest.vm.enableCap("X86_USER_SPACE_MSR", BigInt(KVM_MSR_EXIT_REASON.UNKNOWN));
  guest.enterLong(code("b9 45 23 01 00 0f 32"), 0); // mov ecx, 0x12345; rdmsr
  const exit = guest.run();
  assert(exit.reason === "X86_RDMSR");
  assertEquals([exit.index, exit.why], [0x12345, KVM_MSR_EXIT_REASON.UNKNOWN]);
  assertEquals(
    failure(() => guest.vm.enableCap("S390_PSW")),
    "ioctl(KVM_ENABLE_CAP): Invalid argument (EINVAL)",
  );
});

kvmTest("a VM answers for its capabilities", () => {
  using guest = new TestGuest();
  assertEquals(guest.vm.checkExtension("USER_MEMORY"), 1);
  assertEquals(guest.vm.checkExtension("S390_PSW"), 0);
});

kvmTest("a vCPU's number is given once", () => {
  using guest = new TestGuest();
  using second = guest.vm.createVcpu(1);
  assertEquals([second.id, second.what], [1, "vCPU 1"]);
  assertEquals(
    failure(() => guest.vm.createVcpu(1)),
    "ioctl(KVM_CREATE_VCPU): File exists (EEXIST)",
  );
});

kvmTest("disposing a VM disposes its vCPUs", () => {
  using kvm = Kvm.open();
  const vm = kvm.createVm();
  const vcpus = [vm.createVcpu(0), vm.createVcpu(1)];
  vcpus[0]![Symbol.dispose]();
  vm[Symbol.dispose]();
  vm[Symbol.dispose]();
  assert(vcpus.every((vcpu) => vcpu.disposed));
  assertThrows(() => vm.createVcpu(2), DisposedError, "the VM was used after it was disposed");
  assertThrows(() => vcpus[1]!.regs(), DisposedError, "vCPU 1 was used after it was disposed");
  assertEquals(kvm.apiVersion(), 12, "KVM itself is still open");
});

kvmTest("a GSI leads where its route says, and nowhere without one", () => {
  using guest = new TestGuest({ irqchip: true });
  /** The inputs of the first PIC that are raised, one bit each (its second byte). */
  const raised = (): number => guest.vm.irqchip(KVM_IRQCHIP.PIC_MASTER)[1]!;
  guest.vm.setGsiRouting([{
    gsi: 5,
    type: KVM_IRQ_ROUTING_TYPE.IRQCHIP,
    u: { irqchip: { irqchip: KVM_IRQCHIP.PIC_MASTER, pin: 3 } },
  }]);
  guest.vm.setIrqLine(4, true);
  assertEquals(raised(), 0);
  guest.vm.setIrqLine(5, true);
  assertEquals(raised(), 1 << 3);
});
