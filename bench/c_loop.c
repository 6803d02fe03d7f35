/*
 * The peer of vmexit's run loop: the smallest monitor in C that runs an image the way `vmexit run`
 * does. Same RAM, CPUID, synchronized registers and entry state: long mode, identity map, code at
 * 1 MiB for a flat64 image, protected mode for a Multiboot one. One `ioctl(KVM_RUN)` an exit, a port
 * looked up in a table, a counter. There is no output.
 *
 *   cc -O2 -pthread -o c_loop c_loop.c && ./c_loop IMAGE [VCPUS [COMMAND_LINE]]
 *
 * prints the number of exits and the nanoseconds that the loop took. Several vCPUs all start at the
 * image's entry.
 */
#include <asm/kvm.h>
#include <elf.h>
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
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
	MULTIBOOT_INFO = 0x8000,
	COMMAND_LINE = 0x8100,
	COMMAND_LINE_BYTES = 256,
	LOAD = 0x100000,
	IMAGE_BYTES = 1 << 20,
	MAX_VCPUS = 16,
	CPUID_ENTRIES = 256,
	ENTRY_FLAGS = 7, /* present, writable, user */
	LARGE_PAGE = 0x80,
	MULTIBOOT_MAGIC = 0x2badb002,
	MULTIBOOT_COMMAND_LINE = 1 << 2,
	DEBUG_EXIT = 0xf4,
	LINE_STATUS = 0x3fd,
	TRANSMITTER_EMPTY = 0x60,
};

struct device {
	uint8_t reads_as;
};

struct vcpu {
	int fd;
	struct kvm_run *run;
	uint64_t exits, bytes;
	uint64_t reasons[256];
};

static const struct device unclaimed = { 0xff }, line_status = { TRANSMITTER_EMPTY };
static const struct device *ports[1 << 16] = { [LINE_STATUS] = &line_status };
static struct vcpu vcpus[MAX_VCPUS];

static int call(int fd, unsigned long request, void *argument, const char *name)
{
	int result = ioctl(fd, request, argument);
	if (result < 0)
		err(1, "%s", name);
	return result;
}
#define CALL(fd, request, argument) call(fd, request, (void *)(argument), #request)

/* Puts the image into RAM. Returns the entry of a Multiboot kernel, or 0 for a flat64 image. */
static uint32_t load(uint8_t *ram, const char *path)
{
	static uint8_t bytes[IMAGE_BYTES];
	const Elf32_Ehdr *header = (void *)bytes;
	FILE *image = fopen(path, "rb");
	if (!image)
		err(1, "%s", path);
	size_t size = fread(bytes, 1, sizeof bytes, image);
	fclose(image);
	if (size == 0)
		errx(1, "%s: empty or unreadable", path);
	if (memcmp(bytes, ELFMAG, SELFMAG)) {
		memcpy(ram + LOAD, bytes, size);
		return 0;
	}
	const Elf32_Phdr *segment = (void *)(bytes + header->e_phoff);
	for (int i = 0; i < header->e_phnum; i++, segment++)
		memcpy(ram + segment->p_paddr, bytes + segment->p_offset, segment->p_filesz);
	return header->e_entry;
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

static struct kvm_segment segment(int type, int selector, int is_long)
{
	return (struct kvm_segment){
		.limit = 0xffffffff, .selector = selector, .type = type, .present = 1,
		.db = !is_long, .s = 1, .l = is_long, .g = 1,
	};
}

static void set_segments(struct kvm_sregs *sregs, int is_long)
{
	sregs->cs = segment(11, 0x08, is_long);
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = segment(3, 0x10, 0);
}

static void enter_long_mode(int vcpu, uint8_t *ram)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs = { .rip = LOAD, .rsp = LOAD, .rflags = 2 };

	((uint64_t *)(ram + GDT))[1] = 0x00af9b000000ffff;
	((uint64_t *)(ram + GDT))[2] = 0x00cf93000000ffff;
	CALL(vcpu, KVM_GET_SREGS, &sregs);
	set_segments(&sregs, 1);
	sregs.gdt.base = GDT;
	sregs.gdt.limit = 23;
	sregs.cr0 |= 0x80000001;
	sregs.cr3 = PML4;
	sregs.cr4 |= 0x20;
	sregs.efer |= 0x500;
	CALL(vcpu, KVM_SET_SREGS, &sregs);
	CALL(vcpu, KVM_SET_REGS, &regs);
}

static void enter_multiboot(int vcpu, uint8_t *ram, uint32_t entry, const char *command_line)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs = {
		.rip = entry, .rax = MULTIBOOT_MAGIC, .rbx = MULTIBOOT_INFO, .rflags = 2,
	};
	uint32_t *info = (uint32_t *)(ram + MULTIBOOT_INFO);

	info[0] = MULTIBOOT_COMMAND_LINE;
	info[4] = COMMAND_LINE;
	snprintf((char *)ram + COMMAND_LINE, COMMAND_LINE_BYTES, "%s", command_line);
	CALL(vcpu, KVM_GET_SREGS, &sregs);
	set_segments(&sregs, 0);
	sregs.cr0 |= 1;
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

static void serve(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	const struct device *device = ports[run->io.port] ? ports[run->io.port] : &unclaimed;
	size_t length = (size_t)run->io.size * run->io.count;

	if (run->io.direction == KVM_EXIT_IO_IN)
		memset(data, device->reads_as, length);
	vcpu->bytes += length;
}

/* Runs until HLT or the debug exit. */
static void *loop(void *argument)
{
	struct vcpu *vcpu = argument;
	struct kvm_run *run = vcpu->run;

	for (vcpu->exits = 1;; vcpu->exits++) {
		run->exit_reason = KVM_EXIT_UNKNOWN;
		if (ioctl(vcpu->fd, KVM_RUN, 0) < 0)
			err(1, "KVM_RUN");
		vcpu->reasons[run->exit_reason & 0xff]++;
		switch (run->exit_reason) {
		case KVM_EXIT_IO:
			if (run->io.port == DEBUG_EXIT)
				return NULL;
			serve(vcpu);
			break;
		case KVM_EXIT_MMIO:
			if (!run->mmio.is_write)
				memset(run->mmio.data, unclaimed.reads_as, run->mmio.len);
			vcpu->bytes += run->mmio.len;
			break;
		case KVM_EXIT_HLT:
			return NULL;
		default:
			errx(1, "unexpected exit reason %u", run->exit_reason);
		}
	}
}

int main(int argc, char **argv)
{
	if (argc < 2 || argc > 4)
		errx(2, "usage: c_loop IMAGE [VCPUS [COMMAND_LINE]]");
	int count = argc > 2 ? atoi(argv[2]) : 1;
	if (count < 1 || count > MAX_VCPUS)
		errx(2, "not 1 to %d vCPUs: %s", MAX_VCPUS, argv[2]);
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		err(1, "/dev/kvm");
	uint8_t *ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ram == MAP_FAILED)
		err(1, "mmap of RAM");
	uint32_t entry = load(ram, argv[1]);
	map_identity(ram);

	int vm = CALL(kvm, KVM_CREATE_VM, 0);
	struct kvm_userspace_memory_region region = {
		.memory_size = RAM_BYTES, .userspace_addr = (uintptr_t)ram,
	};
	uint64_t identity_map = 0xfffbc000;
	CALL(vm, KVM_SET_USER_MEMORY_REGION, &region);
	CALL(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map);
	CALL(vm, KVM_SET_TSS_ADDR, 0xfffbd000L);
	for (int i = 0; i < count; i++) {
		struct vcpu *vcpu = &vcpus[i];
		vcpu->fd = CALL(vm, KVM_CREATE_VCPU, (long)i);
		copy_cpuid(kvm, vcpu->fd);
		vcpu->run = mmap(NULL, CALL(kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
				 PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
		if (vcpu->run == MAP_FAILED)
			err(1, "mmap of kvm_run");
		vcpu->run->kvm_valid_regs = KVM_SYNC_X86_REGS;
		if (entry)
			enter_multiboot(vcpu->fd, ram, entry, argc > 3 ? argv[3] : "");
		else
			enter_long_mode(vcpu->fd, ram);
	}

	struct timespec start, end;
	pthread_t threads[MAX_VCPUS];
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (int i = 1; i < count; i++)
		if (pthread_create(&threads[i], NULL, loop, &vcpus[i]))
			errx(1, "no thread for vCPU %d", i);
	loop(&vcpus[0]);
	for (int i = 1; i < count; i++)
		pthread_join(threads[i], NULL);
	clock_gettime(CLOCK_MONOTONIC, &end);
	uint64_t exits = 0;
	for (int i = 0; i < count; i++)
		exits += vcpus[i].exits;
	printf("%llu %lld\n", (unsigned long long)exits,
	       (end.tv_sec - start.tv_sec) * 1000000000LL + end.tv_nsec - start.tv_nsec);
	return 0;
}
