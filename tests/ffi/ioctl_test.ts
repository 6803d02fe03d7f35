import { assertEquals, assertThrows } from "@std/assert";
import { io, ior, iow, iowr } from "../../ffi/ioctl.ts";
import {
  KVM_CREATE_VM,
  KVM_GET_SREGS,
  KVM_RUN,
  KVM_SET_SIGNAL_MASK,
  KVM_SET_USER_MEMORY_REGION,
} from "../../ffi/kvm_ioctls.ts";
import { layout } from "../../ffi/layout.ts";

Deno.test("each direction has its two bits", () => {
  assertEquals(io(0xae, 0x01), 0x0000ae01);
  assertEquals(iow(0xae, 0x01, 0), 0x4000ae01);
  assertEquals(ior(0xae, 0x01, 0), 0x8000ae01);
  assertEquals(iowr(0xae, 0x01, 0), 0xc000ae01);
});

Deno.test("the argument's size stands in bits 16 to 29", () => {
  assertEquals(iow(0, 0, 1), 0x40010000);
  assertEquals(iow(0, 0, 0x3fff), 0x7fff0000);
});

Deno.test("a layout stands for its size", () => {
  assertEquals(ior(0x12, 0x34, layout("pair", 8, {})), ior(0x12, 0x34, 8));
});

Deno.test("a request number is never negative", () => {
  assertEquals(iowr(0xff, 0xff, 0x3fff), 0xffffffff);
});

Deno.test("a size that does not fit in 14 bits is refused", () => {
  assertThrows(() => ior(0xae, 0x81, 0x4000), RangeError, "0x81: argument of 16384 bytes");
});

Deno.test("well-known KVM requests have their well-known numbers", () => {
  assertEquals(KVM_CREATE_VM, 0xae01);
  assertEquals(KVM_RUN, 0xae80);
  assertEquals(KVM_SET_USER_MEMORY_REGION, 0x4020ae46);
  assertEquals(KVM_GET_SREGS, 0x8138ae83);
  assertEquals(KVM_SET_SIGNAL_MASK, 0x4004ae8b);
});
