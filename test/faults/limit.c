/* Limits, and objects in lists; see limit.h. */
#include "limit.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include "check.h"

#define LIMITED "USLUB_TEST_LIMITED"

struct filled {
	struct filled *next;
	uint32_t id;
	uint32_t size;
};

static void set_limit(__rlimit_resource_t resource, rlim_t soft)
{
	struct rlimit rlimit;

	CHECK(getrlimit(resource, &rlimit) == 0);
	rlimit.rlim_cur = soft;
	CHECK(setrlimit(resource, &rlimit) == 0);
}

size_t limit_start(char **argv, const char *kind, const char *mib)
{
	size_t limit = strtoul(mib, NULL, 10) << 20;
	void *p;

	CHECK_THAT(limit > 0 && (!strcmp(kind, "as") || !strcmp(kind, "data")), "no limit %s %s",
		   kind, mib);
	if (!getenv(LIMITED)) {
		setenv(LIMITED, kind, 1);
		set_limit(strcmp(kind, "as") ? RLIMIT_DATA : RLIMIT_AS, limit);
		execv(argv[0], argv);
		CHECK_THAT(false, "%s cannot be started", argv[0]);
	}
	p = mmap(NULL, 2 * limit, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p != MAP_FAILED)
		skip("the limit has no effect here");
	return limit;
}

void limit_lift(void)
{
	set_limit(RLIMIT_AS, RLIM_INFINITY);
	set_limit(RLIMIT_DATA, RLIM_INFINITY);
}

static size_t random_size(struct filling *f, const struct size_mix *mix)
{
	size_t most;
	uint64_t r;

	f->random = f->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	r = f->random >> 24;
	if (mix->least == mix->most)
		return mix->most;
	/* As many between 1000 and 2000 as between 2000 and 4000. */
	for (most = mix->most; most > 2 * mix->least && r & 1; most /= 2)
		r >>= 1;
	return mix->least + (r >> 1) % (most - mix->least + 1);
}

static size_t body_size(const struct filled *o)
{
	return o->size - sizeof(*o);
}

static bool add(struct filling *f, size_t size)
{
	struct filled *o;

	errno = 0;
	o = malloc(size);
	if (!o) {
		CHECK_THAT(errno == ENOMEM, "NULL with errno %d", errno);
		return false;
	}
	CHECK(size >= sizeof(*o) && size <= UINT32_MAX && f->count < UINT32_MAX);
	*o = (struct filled){f->first, (uint32_t)f->count, (uint32_t)size};
	memset(o + 1, (int)(o->id * 7 + 1), body_size(o));
	f->first = o;
	f->count++;
	f->bytes += size;
	return true;
}

bool filling_add(struct filling *f, const struct size_mix *mix, size_t objects)
{
	while (objects--) {
		if (!add(f, random_size(f, mix)))
			return false;
	}
	return true;
}

void filling_fill(struct filling *f, const struct size_mix *mix)
{
	while (add(f, random_size(f, mix)))
		;
}

static void check_one(const struct filled *o)
{
	CHECK_THAT(all_bytes(o + 1, (unsigned char)(o->id * 7 + 1), body_size(o)),
		   "object %u of %u bytes at %p has changed", o->id, o->size, (const void *)o);
}

void filling_check(const struct filling *f)
{
	size_t bytes = 0;

	for (const struct filled *o = f->first; o; o = o->next) {
		check_one(o);
		bytes += o->size;
	}
	CHECK(bytes == f->bytes);
}

static void free_first(struct filling *f, struct filled **link)
{
	struct filled *o = *link;

	check_one(o);
	*link = o->next;
	f->bytes -= o->size;
	free(o);
}

void filling_free_half(struct filling *f)
{
	for (struct filled **link = &f->first; *link; link = &(*link)->next) {
		free_first(f, link);
		if (!*link)
			break;
	}
}

void filling_free(struct filling *f)
{
	while (f->first)
		free_first(f, &f->first);
	CHECK(f->bytes == 0);
}
