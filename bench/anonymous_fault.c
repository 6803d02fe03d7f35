// The kernel's own page fault: touches fresh anonymous pages, prints nanoseconds a page.
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

enum { PAGES = 10000, PAGE = 4096 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(void) {
  char *memory = mmap(0, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return 1;
  madvise(memory, (size_t)PAGES * PAGE, MADV_NOHUGEPAGE);
  double start = now();
  for (int i = 0; i < PAGES; i++) *(volatile char *)(memory + (size_t)i * PAGE) = 1;
  printf("%f\n", (now() - start) / PAGES);
  return 0;
}
