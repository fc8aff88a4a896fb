/* Options, random numbers and checked objects; see stress.h. */
#include "stress.h"

#include <malloc.h>

/* glibc's records of threads, which it keeps for the next ones, and stdio's buffer. */
#define LIBC_MAY_KEEP (32 * KIB)

static uint64_t deadline;
static size_t used_at_start;

static unsigned long number_behind(const char *option, const char *value)
{
	char *end;
	unsigned long n = value ? strtoul(value, &end, 10) : 0;

	CHECK_THAT(value && *value && !*end, "%s needs a number", option);
	return n;
}

static size_t used_bytes(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static void set_option(struct stress_options *options, const char *name, const char *value)
{
	if (strcmp(name, "--seconds") == 0)
		options->seconds = (unsigned int)number_behind(name, value);
	else if (strcmp(name, "--threads") == 0)
		options->threads = (unsigned int)number_behind(name, value);
	else if (strcmp(name, "--count") == 0)
		options->count = number_behind(name, value);
	else if (strcmp(name, "--seed") == 0)
		options->seed = number_behind(name, value);
	else if (strcmp(name, "--mix") == 0)
		options->mix = value;
	else
		CHECK_THAT(false, "%s: not --seconds, --threads, --count, --seed or --mix", name);
}

void stress_parse(struct stress_options *options, int argc, char **argv)
{
	const char *seconds = getenv("STRESS_SECONDS");

	options->seed = now_ns();
	if (seconds)
		options->seconds = (unsigned int)number_behind("STRESS_SECONDS", seconds);
	for (int i = 1; i < argc; i += 2)
		set_option(options, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
	printf("%u s, %u threads, count %lu, mix %s, --seed %lu\n", options->seconds,
	       options->threads, options->count, options->mix ? options->mix : "all",
	       (unsigned long)options->seed);
	fflush(stdout);
	deadline = now_ns() + (uint64_t)options->seconds * 1000000000u;
	stress_watchdog(options->seconds + 200);
	used_at_start = used_bytes();
}

void stress_check_all_freed(void)
{
	size_t now = used_bytes();

	printf("%zu KiB in use at the start, %zu at the end\n", used_at_start / KIB, now / KIB);
	/* glibc counts what its threads' caches hold. */
	CHECK_THAT(!strict() || now <= used_at_start + LIBC_MAY_KEEP, "objects were lost");
}

bool stress_running(void)
{
	static _Thread_local unsigned int calls;
	static _Thread_local bool over;

	if (++calls % 64 == 0)
		over = !stress_running_now();
	return !over;
}

bool stress_running_now(void)
{
	return now_ns() < deadline;
}

/* SIGALRM ends a process that does not handle it: a hang is a failure with a name. */
void stress_watchdog(unsigned int more_seconds)
{
	alarm(more_seconds);
}

void random_seed(struct random *r, uint64_t seed, uint64_t stream)
{
	r->state = seed * 0x9e3779b97f4a7c15u + stream * 0xd1342543de82ef95u + 1;
	for (int i = 0; i < 4; i++)
		random_next(r);
}

/* splitmix64: the state is a counter, so every seed is a good one. */
uint64_t random_next(struct random *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

size_t random_below(struct random *r, size_t n)
{
	return (size_t)(random_next(r) >> 16) % n;
}

/* Mostly small, as programs are, and each decade now and then. */
static size_t random_size(struct random *r, enum object_mix mix)
{
	size_t dice = random_below(r, 1000);

	if (dice < 600)
		return random_below(r, 256);
	if (dice < 880)
		return random_below(r, 4096);
	if (dice < 980 || mix == MIX_SMALL)
		return random_below(r, 65536) / (mix == MIX_SMALL ? 8 : 1);
	if (dice < 998)
		return random_below(r, 1 << 20);
	return random_below(r, 8 << 20);
}

static unsigned char pattern_of(uint64_t id)
{
	return (unsigned char)(id >> 8 | 1);
}

static void fill(const struct record *o)
{
	memset(o->p, pattern_of(o->id), o->size);
	if (o->size < 2 * sizeof(o->id))
		return;
	memcpy(o->p, &o->id, sizeof(o->id));
	memcpy(o->p + o->size - sizeof(o->id), &o->id, sizeof(o->id));
}

/* The first n bytes of what fill() wrote; all of a small object, samples of a large one. */
static bool pattern_stands(const struct record *o, size_t n)
{
	unsigned char value = pattern_of(o->id);
	size_t start = o->size < 2 * sizeof(o->id) ? 0 : sizeof(o->id);
	size_t end = o->size < 2 * sizeof(o->id) ? o->size : o->size - sizeof(o->id);

	if (end > n)
		end = n;
	if (start && n >= start && memcmp(o->p, &o->id, sizeof(o->id)) != 0)
		return false;
	if (end <= start || end - start <= 8192)
		return end <= start || all_bytes(o->p + start, value, end - start);
	if (!all_bytes(o->p + start, value, 512) || !all_bytes(o->p + end - 512, value, 512))
		return false;
	for (size_t i = start; i < end; i += 509) {
		if (o->p[i] != value)
			return false;
	}
	return true;
}

void object_check(const struct record *o)
{
	bool good = pattern_stands(o, o->size);

	if (good && o->size >= 2 * sizeof(o->id))
		good = memcmp(o->p + o->size - sizeof(o->id), &o->id, sizeof(o->id)) == 0;
	CHECK_THAT(good, "the object %p of %zu bytes, id %lx, was overwritten", (void *)o->p,
		   o->size, (unsigned long)o->id);
}

static void *make_aligned(struct record *o, struct random *r)
{
	size_t align = (size_t)1 << random_below(r, random_below(r, 50) ? 13 : 21);
	void *p = NULL;

	switch (random_below(r, 3)) {
	case 0:
		p = aligned_alloc(align, o->size);
		break;
	case 1:
		p = memalign(align, o->size);
		break;
	default:
		align = align < sizeof(void *) ? sizeof(void *) : align;
		CHECK(posix_memalign(&p, align, o->size) == 0);
		break;
	}
	CHECK_THAT(p && is_aligned(p, align), "%p for %zu bytes at %zu", p, o->size, align);
	return p;
}

static void *make_zeroed(struct record *o, struct random *r)
{
	size_t n = random_below(r, 8) + 1;
	unsigned char *p = calloc(n, o->size / n + 1);

	CHECK_THAT(p, "no memory for %zu bytes", o->size);
	CHECK_THAT(all_bytes(p, 0, o->size), "calloc of %zu bytes is not zero", o->size);
	return p;
}

static void label(struct record *o, struct random *r)
{
	CHECK_THAT(o->p, "no memory for %zu bytes", o->size);
	CHECK_THAT(is_aligned(o->p, 16), "%p for %zu bytes", (void *)o->p, o->size);
	o->id = random_next(r);
	fill(o);
}

void object_make(struct record *o, struct random *r, enum object_mix mix)
{
	size_t how = random_below(r, 10);

	o->size = random_size(r, mix);
	if (mix == MIX_ALIGNED || how == 0)
		o->p = make_aligned(o, r);
	else if (how < 3)
		o->p = make_zeroed(o, r);
	else if (how == 3)
		o->p = realloc(NULL, o->size);
	else
		o->p = malloc(o->size);
	label(o, r);
}

void object_make_sized(struct record *o, struct random *r, size_t size)
{
	o->size = size;
	o->p = malloc(size);
	label(o, r);
}

void object_resize(struct record *o, struct random *r, enum object_mix mix)
{
	struct record old = *o;
	size_t both;

	object_check(o);
	/* A realloc by a few bytes is as frequent as one to anywhere. */
	o->size = random_below(r, 2) ? random_size(r, mix) : old.size + random_below(r, 64);
	if (o->size == 0)
		o->size = 1;
	both = o->size < old.size ? o->size : old.size;
	old.p = realloc(old.p, o->size);
	CHECK_THAT(old.p, "no memory for realloc to %zu bytes", o->size);
	CHECK_THAT(pattern_stands(&old, both), "realloc from %zu to %zu bytes lost the content",
		   old.size, o->size);
	o->p = old.p;
	label(o, r);
}

void object_free(struct record *o, struct random *r)
{
	object_check(o);
	/* A mark that a second owner of the same memory would miss in its own object. */
	memset(o->p, 0xdf, o->size < 64 ? o->size : 64);
	if (random_below(r, 16))
		free(o->p);
	else
		CHECK(!realloc(o->p, opaque_size(0)));
	o->p = NULL;
}
