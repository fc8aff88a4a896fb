/* mallinfo2 and mallinfo tell the truth: small and large objects, of every thread. */
#include <malloc.h>
#include <pthread.h>

#include "proc.h"

#define COUNT 100000
#define SLACK (256 * KIB)

static void *objects[COUNT];

/* What has a mapping of its own is counted in hblkhd, outside of uordblks: so the manual has it. */
static size_t used(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static size_t allocate(size_t n, int count)
{
	size_t bytes = 0;

	for (int i = 0; i < count; i++) {
		objects[i] = malloc(n);
		CHECK(objects[i]);
		memset(objects[i], 1, n < 4096 ? n : 4096);
		bytes += malloc_usable_size(objects[i]);
	}
	return bytes;
}

static void free_all(int count)
{
	for (int i = 0; i < count; i++)
		free(objects[i]);
}

/* uslub's figures are those of the objects; glibc counts a header with each. */
static void check_grown(size_t base, size_t requested, size_t usable, int count)
{
	size_t grown = used() - base;
	size_t most = usable + SLACK + (strict() ? 0 : 16 * (size_t)count + usable / 16);

	CHECK_THAT(grown + SLACK >= requested && grown <= most,
		   "in use grew by %zu for %zu requested, %zu usable", grown, requested, usable);
}

static void check_back(size_t base)
{
	size_t now = used();
	size_t distance = now > base ? now - base : base - now;

	CHECK_THAT(distance <= SLACK, "in use is %zu, and was %zu before", now, base);
}

static void one_size(size_t n, int count)
{
	size_t base = used();
	size_t usable = allocate(n, count);

	check_grown(base, n * (size_t)count, usable, count);
	free_all(count / 2);
	CHECK(used() - base < usable * 5 / 8 + SLACK);
	memmove(objects, objects + count / 2, (size_t)(count - count / 2) * sizeof(*objects));
	free_all(count - count / 2);
	check_back(base);
}

static void *allocate_in_thread(void *usable)
{
	*(size_t *)usable = allocate(200, COUNT);
	return NULL;
}

static void *free_in_thread(void *arg)
{
	(void)arg;
	free_all(COUNT);
	return NULL;
}

/* Neither the end of the owner nor a free from elsewhere loses an object. */
static void across_threads(void)
{
	size_t base = used();
	size_t usable = 0;
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, allocate_in_thread, &usable) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	check_grown(base, 200 * COUNT, usable, COUNT);
	free_all(COUNT);
	check_back(base);

	usable = allocate(200, COUNT);
	check_grown(base, 200 * COUNT, usable, COUNT);
	CHECK(pthread_create(&thread, NULL, free_in_thread, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	check_back(base);
}

static void fields_agree(void)
{
	struct mallinfo2 wide;
	struct mallinfo narrow;

	allocate(100, COUNT);
	wide = mallinfo2();
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	narrow = mallinfo();
#pragma GCC diagnostic pop
	CHECK((size_t)narrow.uordblks - wide.uordblks + SLACK < 2 * SLACK);
	CHECK((size_t)narrow.arena - wide.arena + SLACK < 2 * SLACK);
	CHECK((size_t)narrow.fordblks - wide.fordblks + SLACK < 2 * SLACK);
	CHECK(wide.arena + wide.hblkhd >= wide.uordblks);
	CHECK(wide.arena >= (size_t)COUNT * 100);
	free_all(COUNT);
	wide = mallinfo2();
	CHECK(wide.arena + wide.hblkhd + SLACK >= wide.uordblks + wide.fordblks);
}

int main(void)
{
	one_size(24, COUNT);
	one_size(100, COUNT);
	one_size(1000, COUNT);
	one_size(5000, 10000);
	one_size(100000, 1000);
	one_size(3 * MIB, 30);
	one_size(256 * MIB, 4);
	across_threads();
	fields_agree();
	puts("mallinfo: ok");
	return 0;
}
