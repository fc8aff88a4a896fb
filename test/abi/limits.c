/*
 * Started under RLIMIT_AS: NULL with ENOMEM at the end of memory, what lives stays whole, the next
 * size finds the room of the last, and work goes on when the limit is lifted.
 *   limits MIB
 */
#include <malloc.h>
#include <sys/mman.h>

#include "proc.h"

struct object {
	struct object *next;
	size_t id;
};

static size_t limit;

static void set_limit(rlim_t soft)
{
	struct rlimit rlimit;

	CHECK(getrlimit(RLIMIT_AS, &rlimit) == 0);
	rlimit.rlim_cur = soft;
	CHECK(setrlimit(RLIMIT_AS, &rlimit) == 0);
}

/* Emulators of user processes leave the limit out. */
static void need_a_limit_that_works(void)
{
	void *p = mmap(NULL, 2 * limit, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p != MAP_FAILED)
		skip("RLIMIT_AS has no effect here");
}

static struct object *fill(size_t n, size_t *count)
{
	struct object *list = NULL;

	for (*count = 0; *count * n < limit; ++*count) {
		struct object *o;

		errno = 0;
		o = malloc(n);
		if (!o) {
			CHECK_THAT(errno == ENOMEM, "errno %d at the end of memory", errno);
			return list;
		}
		memset(o, (int)*count, n);
		*o = (struct object){list, *count};
		list = o;
	}
	CHECK_THAT(false, "no end of memory at %zu bytes each", n);
	return NULL;
}

static void check_and_free(struct object *list, size_t count, size_t n)
{
	while (list) {
		struct object *next = list->next;

		CHECK(list->id == --count);
		CHECK(all_bytes(list + 1, (unsigned char)count, n - sizeof(*list)));
		free(list);
		list = next;
	}
	CHECK(count == 0);
}

static void failed_realloc(size_t n)
{
	unsigned char *p = malloc(n);

	CHECK_THAT(p, "no %zu bytes although all were freed", n);
	memset(p, 0x4d, n);
	errno = 0;
	CHECK(!realloc(opaque(p), opaque_size(2 * limit)) && errno == ENOMEM);
	CHECK(all_bytes(p, 0x4d, n));
	free(p);
}

static void one_size(size_t n)
{
	size_t count;
	struct object *list = fill(n, &count);

	printf("%zu bytes: %zu objects, %zu MiB\n", n, count, count * n / MIB);
	CHECK_THAT(count * n > limit / 4, "only %zu KiB of %zu MiB could be used", count * n / KIB,
		   limit / MIB);
	errno = 0;
	CHECK(!calloc(2, limit) && errno == ENOMEM);
	CHECK(!aligned_alloc(2 * limit, 16) && errno == ENOMEM);
	check_and_free(list, count, n);
	failed_realloc(100);
	failed_realloc(100000);
	failed_realloc(limit / 16);
}

static void under_the_limit(void)
{
	need_a_limit_that_works();
	one_size(200000);
	one_size(300);
	one_size(5000);
	one_size(MIB);
	one_size(30000);
	one_size(100);
	one_size(limit / 16);
	one_size(300);
	set_limit(RLIM_INFINITY);
	void *p = malloc(2 * limit);

	CHECK_THAT(p, "no memory after the limit was lifted");
	free(p);
	puts("limits: ok");
}

int main(int argc, char **argv)
{
	CHECK_THAT(argc >= 2, "usage: limits MIB");
	limit = strtoul(argv[1], NULL, 10) * MIB;
	CHECK(limit > 0);
	if (argc == 2) {
		char *again[] = {argv[0], argv[1], (char[]){"limited"}, NULL};

		set_limit(limit);
		need_a_limit_that_works();
		execv(argv[0], again);
		CHECK_THAT(false, "%s cannot be started", argv[0]);
	}
	under_the_limit();
	return 0;
}
