/*
 * How much of a limit on memory can be used: fills memory until there is NULL, frees half, fills again
 * with other sizes, frees all, fills once more, and goes on when the limit is lifted. Prints the parts of
 * the limit that were in objects, for share.py to judge.
 *   share as|data MIB
 */
#include <malloc.h>

#include "check.h"
#include "limit.h"

#define MIB ((size_t)1 << 20)

static size_t limit;

static void print_share(const char *what, const char *mix, const struct filling *f)
{
	printf("%s %s %.3f\n", what, mix, (double)f->bytes / (double)limit);
}

/* Where there is no memory, nothing that lives may change. */
static void calls_that_fail(struct filling *f)
{
	unsigned char *p = (unsigned char *)f->first;

	errno = 0;
	CHECK(!calloc(2, opaque_size(limit)) && errno == ENOMEM);
	errno = 0;
	CHECK(!realloc(opaque(p), opaque_size(2 * limit)) && errno == ENOMEM);
	errno = 0;
	CHECK(!memalign(4096, opaque_size(2 * limit)) && errno == ENOMEM);
	errno = 0;
	CHECK(posix_memalign((void **)&p, 64, opaque_size(2 * limit)) == ENOMEM);
	CHECK(!strict() || !errno);
	filling_check(f);
}

static void one_mix(const struct size_mix *mix, const struct size_mix *other)
{
	struct filling f = {0}, g = {0};

	filling_fill(&f, mix);
	print_share("first", mix->name, &f);
	calls_that_fail(&f);
	filling_free_half(&f);
	filling_fill(&g, other);
	g.bytes += f.bytes;
	print_share("refilled", mix->name, &g);
	g.bytes -= f.bytes;
	filling_check(&f);
	filling_free(&f);
	filling_check(&g);
	filling_free(&g);
	filling_fill(&f, mix);
	print_share("again", mix->name, &f);
	filling_free(&f);
}

int main(int argc, char **argv)
{
	CHECK_THAT(argc == 3, "usage: share as|data MIB");
	limit = limit_start(argv, argv[1], argv[2]);

	const struct size_mix mixes[] = {
		{"16B", 16, 16},
		{"tiny", 16, 128},
		{"small", 16, 1024},
		{"medium", 1024, 32768},
		{"large", 33000, MIB},
		{"all", 16, 4 * MIB},
		{"huge", limit / 12, limit / 12},
	};
	size_t n = sizeof(mixes) / sizeof(mixes[0]);

	setvbuf(stdout, NULL, _IONBF, 0);
	for (size_t i = 0; i < n; i++)
		one_mix(&mixes[i], &mixes[(i + 2) % n]);

	struct filling f = {0};
	const struct size_mix quarter = {"quarter", limit / 4, limit / 4};

	filling_fill(&f, &quarter);
	print_share("first", quarter.name, &f);
	filling_free(&f);
	limit_lift();
	CHECK_THAT(filling_add(&f, &(struct size_mix){"", 2 * limit, 2 * limit}, 1),
		   "no memory after the limit was lifted");
	filling_free(&f);
	return 0;
}
