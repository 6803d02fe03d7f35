import { assertEquals } from "@std/assert";
import { ERRNO } from "../../ffi/errno.ts";
import { KVM_EXIT } from "../../ffi/kvm_consts.ts";
import { classifyFailure, RunResult } from "../../src/kvm/run_result.ts";

const REASONS = [...Object.values(KVM_EXIT), 255, 0xffff_ffff];

function errnosNamed(...names: string[]): number[] {
  return [...ERRNO].filter(([, { name }]) => names.includes(name)).map(([errno]) => errno);
}

Deno.test("R1: EFAULT and EHWPOISON with MEMORY_FAULT are a fault that KVM annotated", () => {
  for (const errno of errnosNamed("EFAULT", "EHWPOISON")) {
    assertEquals(classifyFailure(errno, KVM_EXIT.MEMORY_FAULT), RunResult.annotatedFault);
  }
});

Deno.test("R1: EFAULT and EHWPOISON with any other reason are a fault without an annotation", () => {
  for (const errno of errnosNamed("EFAULT", "EHWPOISON")) {
    for (const reason of REASONS.filter((reason) => reason !== KVM_EXIT.MEMORY_FAULT)) {
      assertEquals(classifyFailure(errno, reason), RunResult.unannotatedFault, `reason ${reason}`);
    }
  }
});

Deno.test("R1: EINTR and EAGAIN are no exits, whatever the exit reason holds", () => {
  for (const reason of REASONS) {
    for (const errno of errnosNamed("EINTR")) {
      assertEquals(classifyFailure(errno, reason), RunResult.interrupted);
    }
    for (const errno of errnosNamed("EAGAIN")) {
      assertEquals(classifyFailure(errno, reason), RunResult.notRunnable);
    }
  }
});

Deno.test("R1: any other errno is fatal, also if the reason says MEMORY_FAULT", () => {
  const meaningful = errnosNamed("EFAULT", "EHWPOISON", "EINTR", "EAGAIN");
  assertEquals(meaningful.length, 4);
  const others = [...ERRNO.keys(), 0, 999].filter((errno) => !meaningful.includes(errno));
  for (const errno of others) {
    for (const reason of REASONS) {
      assertEquals(classifyFailure(errno, reason), RunResult.failed, `${errno} ${reason}`);
    }
  }
});
