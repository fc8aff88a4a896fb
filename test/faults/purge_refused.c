/*
 * The kernel refuses to take pages back for a while. When it takes them again they go back after the
 * delay, without anybody asking for it.
 *   USLUB=purge_delay:100 purge_refused
 */
#include "check.h"
#include "proc.h"
#include "trap.h"

#define SIZE ((size_t)30000)
#define OBJECTS (64 * MIB / SIZE)

static void fill_and_free(void)
{
	static void *objects[OBJECTS];

	for (size_t i = 0; i < OBJECTS; i++) {
		objects[i] = malloc(SIZE);
		CHECK(objects[i]);
		memset(objects[i], 1, SIZE);
	}
	for (size_t i = 0; i < OBJECTS; i++)
		free(objects[i]);
}

/* The heap has no thread: it looks at the clock when the program calls. */
static bool falls_below(size_t rss, unsigned int ms)
{
	uint64_t end = now_ns() + ms * UINT64_C(1000000);

	while (rss_bytes() >= rss) {
		void *p = malloc(100000);

		CHECK(p);
		free(p);
		if (now_ns() > end)
			return false;
		sleep_ms(5);
	}
	return true;
}

int main(int argc, char **argv)
{
	size_t before, full;

	(void)argc;
	trap_init(argv);
	trap_install();
	before = rss_bytes();
	trap.fail = TRAP_MADVISE;
	trap.fail_until = UINT32_MAX;
	fill_and_free();
	full = rss_bytes();
	CHECK(full > before + 48 * MIB);
	CHECK_THAT(!falls_below(full - 16 * MIB, 400) && trap.refused,
		   "pages went back although the kernel refused to take them");
	trap.fail_until = 0;
	CHECK_THAT(falls_below(before + 16 * MIB, 5000), "%zu MiB are still resident",
		   rss_bytes() / MIB);
	printf("%u refusals, then from %zu to %zu MiB\n", trap.refused, full / MIB,
	       rss_bytes() / MIB);
	return 0;
}
