/* Objects of many GiB: untouched pages cost nothing, and growing them moves no bytes. */
#include <malloc.h>
#include <sys/mman.h>

#include "proc.h"

#define STEP (512 * MIB)

/* The kernel refuses one mapping beyond memory and swap unless it may overcommit. */
static void need_address_space(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		skip("this machine's overcommit rules refuse a mapping of 12 GiB");
	munmap(p, n);
}

static void mark(unsigned char *p, size_t from, size_t to)
{
	for (size_t i = from; i < to; i += STEP) {
		CHECK(p[i] == 0 && p[i + STEP - 1] == 0);
		p[i] = (unsigned char)(i / STEP + 1);
		p[i + STEP - 1] = (unsigned char)(i / STEP + 101);
	}
}

static void check_marks(const unsigned char *p, size_t to)
{
	for (size_t i = 0; i < to; i += STEP) {
		CHECK(p[i] == (unsigned char)(i / STEP + 1));
		CHECK(p[i + STEP - 1] == (unsigned char)(i / STEP + 101));
	}
}

static void check_resident(size_t before)
{
	size_t now = rss_bytes();

	CHECK_THAT(emulated() || now < before + 64 * MIB, "%zu MiB resident for a few pages",
		   (now - before) / MIB);
}

int main(void)
{
	size_t before = rss_bytes();
	unsigned char *p;

	need_address_space(12 * GIB);
	p = calloc(8, GIB);
	CHECK(p && malloc_usable_size(p) >= 8 * GIB);
	mark(p, 0, 8 * GIB);
	p = realloc(p, 12 * GIB);
	CHECK(p && malloc_usable_size(p) >= 12 * GIB);
	check_marks(p, 8 * GIB);
	p[12 * GIB - 1] = 1;
	p = realloc(p, 2 * GIB);
	CHECK(p);
	check_marks(p, 2 * GIB);
	check_resident(before);
	free(p);
	/* Would add up to 400 GiB if it were not given back. */
	for (int i = 0; i < 50; i++) {
		p = malloc(8 * GIB);
		CHECK_THAT(p, "round %d of 8 GiB", i);
		p[0] = p[8 * GIB - 1] = 1;
		free(p);
	}
	check_resident(before);
	puts("huge: ok");
	return 0;
}
