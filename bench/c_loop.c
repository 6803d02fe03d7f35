/*
 * The peer of vmexit's run loop: the smallest monitor in C that runs a flat64 image the way
 * `vmexit run` does. Same RAM, CPUID, synchronized registers and entry state (long mode, identity
 * map, code at 1 MiB); one `ioctl(KVM_RUN)` an exit, a port looked up in a table, a counter.
 *
 *   cc -O2 -o c_loop c_loop.c && ./c_loop IMAGE
 *
 * prints the number of exits and the nanoseconds that the loop took.
 */
#include <asm/kvm.h>
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
	RAM_BYTES = 128 << 20,
	PML4 = 0x1000,
	PDPT = 0x2000,
	DIRECTORIES = 0x3000,
	GDT = 0x7000,
	LOAD = 0x100000,
	CPUID_ENTRIES = 256,
	ENTRY_FLAGS = 7, /* present, writable, user */
	LARGE_PAGE = 0x80,
};

struct device {
	uint64_t bytes;
};

static struct device unclaimed;
static struct device *ports[1 << 16];
static uint64_t reasons[256];

static int call(int fd, unsigned long request, void *argument, const char *name)
{
	int result = ioctl(fd, request, argument);
	if (result < 0)
		err(1, "%s", name);
	return result;
}
#define CALL(fd, request, argument) call(fd, request, (void *)(argument), #request)

static void load(uint8_t *ram, const char *path)
{
	FILE *image = fopen(path, "rb");
	if (!image)
		err(1, "%s", path);
	if (fread(ram + LOAD, 1, RAM_BYTES - LOAD, image) == 0)
		errx(1, "%s: empty or unreadable", path);
	fclose(image);
}

static void map_identity(uint8_t *ram)
{
	uint64_t *directories = (uint64_t *)(ram + DIRECTORIES);

	*(uint64_t *)(ram + PML4) = PDPT | ENTRY_FLAGS;
	for (uint64_t i = 0; i < 4; i++)
		((uint64_t *)(ram + PDPT))[i] = (DIRECTORIES + i * 0x1000) | ENTRY_FLAGS;
	for (uint64_t i = 0; i < 4 * 512; i++)
		directories[i] = i << 21 | ENTRY_FLAGS | LARGE_PAGE;
}

static struct kvm_segment segment(int type, int selector)
{
	int code = type & 8;
	return (struct kvm_segment){
		.limit = 0xffffffff, .selector = selector, .type = type, .present = 1,
		.db = !code, .s = 1, .l = !!code, .g = 1,
	};
}

static void enter_long_mode(int vcpu, uint8_t *ram)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs = { .rip = LOAD, .rsp = LOAD, .rflags = 2 };
	struct kvm_segment data = segment(3, 0x10);

	((uint64_t *)(ram + GDT))[1] = 0x00af9b000000ffff;
	((uint64_t *)(ram + GDT))[2] = 0x00cf93000000ffff;
	CALL(vcpu, KVM_GET_SREGS, &sregs);
	sregs.cs = segment(11, 0x08);
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.gdt.base = GDT;
	sregs.gdt.limit = 23;
	sregs.cr0 |= 0x80000001;
	sregs.cr3 = PML4;
	sregs.cr4 |= 0x20;
	sregs.efer |= 0x500;
	CALL(vcpu, KVM_SET_SREGS, &sregs);
	CALL(vcpu, KVM_SET_REGS, &regs);
}

static void copy_cpuid(int kvm, int vcpu)
{
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof *cpuid + CPUID_ENTRIES * sizeof *cpuid->entries);
	cpuid->nent = CPUID_ENTRIES;
	CALL(kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
	CALL(vcpu, KVM_SET_CPUID2, cpuid);
	free(cpuid);
}

static void serve(struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	struct device *device = ports[run->io.port] ? ports[run->io.port] : &unclaimed;
	size_t length = (size_t)run->io.size * run->io.count;

	if (run->io.direction == KVM_EXIT_IO_IN)
		memset(data, 0xff, length);
	device->bytes += length;
}

/* Runs until HLT. Returns the number of exits. */
static uint64_t loop(int vcpu, struct kvm_run *run)
{
	for (uint64_t exits = 1;; exits++) {
		run->exit_reason = KVM_EXIT_UNKNOWN;
		if (ioctl(vcpu, KVM_RUN, 0) < 0)
			err(1, "KVM_RUN");
		reasons[run->exit_reason & 0xff]++;
		switch (run->exit_reason) {
		case KVM_EXIT_IO:
			serve(run);
			break;
		case KVM_EXIT_HLT:
			return exits;
		default:
			errx(1, "unexpected exit reason %u", run->exit_reason);
		}
	}
}

int main(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "usage: c_loop IMAGE");
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		err(1, "/dev/kvm");
	uint8_t *ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ram == MAP_FAILED)
		err(1, "mmap of RAM");
	load(ram, argv[1]);
	map_identity(ram);

	int vm = CALL(kvm, KVM_CREATE_VM, 0);
	struct kvm_userspace_memory_region region = {
		.memory_size = RAM_BYTES, .userspace_addr = (uintptr_t)ram,
	};
	uint64_t identity_map = 0xfffbc000;
	CALL(vm, KVM_SET_USER_MEMORY_REGION, &region);
	CALL(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map);
	CALL(vm, KVM_SET_TSS_ADDR, 0xfffbd000L);
	int vcpu = CALL(vm, KVM_CREATE_VCPU, 0);
	copy_cpuid(kvm, vcpu);
	struct kvm_run *run = mmap(NULL, CALL(kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
				   PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		err(1, "mmap of kvm_run");
	run->kvm_valid_regs = KVM_SYNC_X86_REGS;
	enter_long_mode(vcpu, ram);

	struct timespec start, end;
	clock_gettime(CLOCK_MONOTONIC, &start);
	uint64_t exits = loop(vcpu, run);
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%llu %lld\n", (unsigned long long)exits,
	       (end.tv_sec - start.tv_sec) * 1000000000LL + end.tv_nsec - start.tv_nsec);
	return 0;
}
