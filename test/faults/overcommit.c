/*
 * Memory ends at the system's commit limit, vm.overcommit_memory being 2: the same as under a limit of
 * the process. Speaks with overcommit.py, which sets the limit: a line out, a line in.
 *   overcommit
 */
#include <sys/mman.h>

#include "check.h"
#include "limit.h"

#define MIB ((size_t)1 << 20)

static void say_and_wait(const char *what)
{
	char answer[16];

	printf("%s\n", what);
	fflush(stdout);
	CHECK_THAT(fgets(answer, sizeof(answer), stdin), "no answer");
}

/*
 * The kernel keeps a process's 32nd part of its address space from it, up to user_reserve_kbytes: with
 * enough of it the others on the machine still find memory when this process finds none.
 */
static void be_modest(void)
{
	void *p = mmap(NULL, (size_t)8 << 30, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(p != MAP_FAILED);
}

static size_t fill(struct filling *f, size_t least, size_t most)
{
	filling_fill(f, &(struct size_mix){"", least, most});
	return f->bytes;
}

int main(void)
{
	struct filling small = {0}, large = {0}, mixed = {0};
	size_t first, refilled, again;

	be_modest();
	say_and_wait("ready");
	first = fill(&small, 64, 4096);
	filling_check(&small);
	filling_free_half(&small);
	refilled = small.bytes + fill(&mixed, 64, 4096);
	filling_check(&small);
	filling_check(&mixed);
	filling_free(&small);
	filling_free(&mixed);
	again = fill(&large, 40000, MIB);
	filling_check(&large);
	filling_free_half(&large);
	fill(&mixed, 16, MIB);
	filling_check(&large);
	printf("%zu MiB small, %zu after half was freed, %zu large\n", first / MIB, refilled / MIB,
	       again / MIB);
	say_and_wait("full");
	CHECK_THAT(filling_add(&mixed, &(struct size_mix){"", 64 * MIB, 64 * MIB}, 4),
		   "no memory although the limit is gone");
	filling_check(&large);
	filling_free(&large);
	filling_free(&mixed);
	CHECK_THAT(first > 100 * MIB && refilled > first / 10 * 8 && again > first / 10 * 7,
		   "too little: %zu, %zu, %zu MiB", first / MIB, refilled / MIB, again / MIB);
	puts("ok");
	return 0;
}
