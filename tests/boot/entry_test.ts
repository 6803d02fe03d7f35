import { assertEquals, assertNotEquals } from "@std/assert";
import { planBoot } from "../../src/boot/detect.ts";
import { enter } from "../../src/boot/entry.ts";
import type { BootPlan, BootProtocol } from "../../src/boot/plan.ts";
import { Kvm } from "../../src/kvm/kvm.ts";
import type { Regs, Sregs } from "../../src/kvm/vcpu.ts";
import { GuestMemory } from "../../src/memory/guest_memory.ts";
import { elf, HALT, imageFile, multiboot } from "../lib/images.ts";
import { CR0 } from "../../src/x86/control_registers.ts";
import { bzImage } from "../lib/linux.ts";
import { kvmTest } from "../lib/kvm.ts";

const DATA_SEGMENTS = ["ds", "es", "fs", "gs", "ss"] as const;

interface Entered {
  readonly plan: BootPlan;
  readonly memory: GuestMemory;
  readonly regs: Regs;
  readonly sregs: Sregs;
}

/** Enters a plan on a real vCPU and reads the state back. */
function look(image: Uint8Array, protocol: BootProtocol, at: (entered: Entered) => void): void {
  using kvm = Kvm.open();
  using memory = new GuestMemory(4 << 20);
  using vm = kvm.createVm();
  memory.attach(vm);
  using vcpu = vm.createVcpu(0);
  const plan = planBoot(image, "", protocol, { ram: memory.ranges });
  enter(plan, memory, vcpu);
  at({ plan, memory, regs: vcpu.regs(), sregs: vcpu.sregs() });
}

function nonZero(regs: Regs): Partial<Regs> {
  return Object.fromEntries(Object.entries(regs).filter(([, value]) => value !== 0n));
}

kvmTest("every segment of a plan is in guest memory", () => {
  const image = elf({
    segments: [{ bytes: HALT }, { bytes: new Uint8Array([1, 2]), p_paddr: 0x20_0000n }],
  });
  look(image, "elf", ({ plan, memory }) => {
    assertEquals(plan.segments.length, 9); // two of the image, six of the page tables, the GDT
    for (const { gpa, bytes } of plan.segments) {
      assertEquals(memory.read(gpa, bytes.length), new Uint8Array(bytes));
    }
  });
});

kvmTest("real mode: segments at 0, the rest as after reset", () => {
  look(HALT, "flat16", ({ regs, sregs }) => {
    assertEquals(nonZero(regs), { rip: 0x7c00n, rsp: 0x7c00n, rdx: 0x80n, rflags: 2n });
    assertEquals([sregs.cs.base, sregs.cs.selector, sregs.cr0], [0n, 0, 0x6000_0010n]);
    for (const name of DATA_SEGMENTS) {
      assertEquals([sregs[name].base, sregs[name].selector], [0n, 0], name);
    }
  });
});

kvmTest("protected mode: flat 4 GiB segments without paging", () => {
  look(HALT, "flat32", ({ plan, regs, sregs }) => {
    assertEquals(nonZero(regs), { rip: 0x10_0000n, rsp: 0x10_0000n, rflags: 2n });
    const { cs, gdt, cr0, cr3, cr4, efer } = sregs;
    assertEquals([cs.base, cs.limit, cs.selector, cs.db, cs.l], [0n, 0xffff_ffff, 8, 1, 0]);
    for (const name of DATA_SEGMENTS) {
      const { base, limit, selector } = sregs[name];
      assertEquals([base, limit, selector], [0n, 0xffff_ffff, 0x10], name);
    }
    assertEquals([gdt.base, gdt.limit], [plan.entry.gdt!.base, 0x17]);
    assertEquals([cr0, cr3, cr4, efer], [0x6000_0011n, 0n, 0n, 0n]);
  });
});

kvmTest("long mode: 64-bit code at CPL 0 with paging", () => {
  look(HALT, "flat64", ({ plan, regs, sregs }) => {
    assertEquals(nonZero(regs), { rip: 0x10_0000n, rsp: 0x10_0000n, rflags: 2n });
    const { cs, ss, cr0, cr3, cr4, efer } = sregs;
    assertEquals([cs.selector, cs.l, cs.db, cs.dpl, ss.dpl], [8, 1, 0, 0, 0]);
    assertEquals(cr3, plan.entry.cr3);
    assertEquals([cr0, cr4, efer], [0xe000_0011n, 0x20n, 0x500n]);
  });
});

kvmTest("a Multiboot kernel has the loader's magic in EAX and the information in EBX", () => {
  look(multiboot(), "multiboot", ({ plan, regs }) => {
    assertEquals(regs.rax, 0x2bad_b002n);
    assertEquals(regs.rbx, plan.entry.registers!.rbx);
    assertNotEquals(regs.rbx, 0n);
    assertEquals(regs.rip, plan.entry.rip);
  });
});

kvmTest("a Linux kernel's real-mode code has its own segments, and IP counts from CS", () => {
  look(bzImage(), "linux:16", ({ regs, sregs }) => {
    assertEquals(nonZero(regs), { rsp: 0xe000n, rflags: 2n });
    assertEquals([sregs.cs.base, sregs.cs.selector], [0x1_0200n, 0x1020]);
    for (const name of DATA_SEGMENTS) {
      assertEquals([sregs[name].base, sregs[name].selector], [0x1_0000n, 0x1000], name);
    }
  });
});

kvmTest("a Linux kernel has its selectors, boot_params in RSI and all else 0", () => {
  for (const [protocol, rip] of [["linux:32", 0x10_0000n], ["linux:64", 0x10_0200n]] as const) {
    look(bzImage(), protocol, ({ plan, regs, sregs }) => {
      const { rsi } = plan.entry.registers!;
      assertEquals(nonZero(regs), { rip, rsp: 0x10_0000n, rsi, rflags: 2n } as Partial<Regs>);
      assertEquals([sregs.cs.selector, sregs.ds.selector, sregs.ss.selector], [0x10, 0x18, 0x18]);
      assertEquals([sregs.cs.l, sregs.gdt.limit], [protocol === "linux:64" ? 1 : 0, 0x1f]);
    });
  }
});

kvmTest("kernels are entered with the caches on, other images as the processor was reset", () => {
  const caches = CR0.CD | CR0.NW;
  const cr0 = (image: Uint8Array, protocol: BootProtocol): bigint => {
    let value = 0n;
    look(image, protocol, ({ sregs }) => value = sregs.cr0);
    return value;
  };
  const pvh = imageFile("pvh-info.pvh");
  for (
    const [image, protocol] of [
      [multiboot(), "multiboot"],
      [imageFile("mb2-info.mb2"), "multiboot2"],
      [pvh, "pvh"],
      [bzImage(), "linux:16"],
      [bzImage(), "linux:32"],
      [bzImage(), "linux:64"],
      [imageFile("vmlinux.elf"), "linux"],
    ] as const
  ) {
    assertEquals(cr0(image, protocol) & caches, 0n, protocol);
  }
  assertEquals(cr0(pvh, "pvh"), CR0.PE | CR0.ET, "PVH: all but these are clear");
  for (const protocol of ["flat16", "flat32", "flat64"] as const) {
    assertEquals(cr0(HALT, protocol) & caches, caches, protocol);
  }
});

kvmTest("zeros of an image replace the firmware's data, and not the image's bytes", () => {
  using kvm = Kvm.open();
  using memory = new GuestMemory(4 << 20);
  using vm = kvm.createVm();
  memory.attach(vm);
  using vcpu = vm.createVcpu(0);
  memory.write(0xf_0000n, new Uint8Array(0x1000).fill(0xee));
  const segments = [
    { bytes: new Uint8Array([1]), p_paddr: 0xe_f000n, p_memsz: 0x20_0000n },
    { bytes: new Uint8Array([2]), p_paddr: 0xf_0800n },
  ];
  enter(planBoot(elf({ segments }), "", "elf", { ram: memory.ranges }), memory, vcpu);
  assertEquals(memory.read(0xf_0000n, 0x800), new Uint8Array(0x800));
  assertEquals([...memory.read(0xf_0800n, 2)], [2, 0]);
});
