/*
 * The nolock calls: with a reserve neither a system call nor a page fault; without one, and beyond it, the
 * ordinary memory; accounts; bad arguments. USLUB=reserve:32M is set by the build file.
 */
#include "no_kernel.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "uslub/nolock.h"

#define NR 400
static unsigned char *objects[NR];
static size_t object_sizes[NR];

static size_t size_of(unsigned int i)
{
	static const size_t sizes[] = {0,    1,	   16,	 33,	100,   128,   500,
				       1000, 4096, 9000, 20000, 32768, 50000, 200000};

	return sizes[i * 7 % (sizeof(sizes) / sizeof(sizes[0]))];
}

static void fill(unsigned int i)
{
	memset(objects[i], (int)(i % 251) + 1, object_sizes[i]);
}

static void check_filled(unsigned int i)
{
	for (size_t at = 0; at < object_sizes[i]; at++)
		CHECK(objects[i][at] == i % 251 + 1);
}

static void one_round(void)
{
	for (unsigned int i = 0; i < NR; i++) {
		bool zero = i % 3 == 0;

		object_sizes[i] = size_of(i);
		objects[i] = uslub_malloc_nolock(object_sizes[i], zero ? USLUB_ZERO : 0,
						 (int)(i % 4) - 1);
		CHECK(objects[i] && (uintptr_t)objects[i] % 16 == 0);
		for (size_t at = 0; zero && at < object_sizes[i]; at++)
			CHECK(objects[i][at] == 0);
		fill(i);
	}
	for (unsigned int i = 0; i < NR; i++) {
		check_filled(i);
		if (i % 2)
			uslub_free_nolock(objects[i]);
		else
			free(objects[i]);
	}
}

static void accounts_count(void)
{
	struct uslub_account usage;
	int account = uslub_account_create("logger"), other = uslub_account_create("other");
	void *p[50], *large;

	CHECK(account > 0 && other > 0 && account != other);
	CHECK(uslub_account_create("logger") == account);
	for (int i = 0; i < 50; i++)
		CHECK(p[i] = uslub_malloc_nolock(100, USLUB_ZERO | USLUB_ACCOUNT(account),
						 USLUB_NO_NODE));
	CHECK(large = uslub_malloc_nolock(100000, USLUB_ACCOUNT(account), USLUB_NO_NODE));
	CHECK(uslub_account_read(account, &usage) == 0);
	CHECK(usage.objects == 51 && usage.bytes >= 50 * 100 + 100000 && usage.bytes < 150000);
	CHECK(uslub_account_read(other, &usage) == 0 && usage.objects == 0 && usage.bytes == 0);
	for (int i = 0; i < 50; i++)
		free(p[i]);
	CHECK(large = realloc(large, 99999));
	CHECK(uslub_account_read(account, &usage) == 0 && usage.objects == 1);
	CHECK(large = realloc(large, 1000000));
	CHECK(uslub_account_read(account, &usage) == 0 && usage.objects == 0 && usage.bytes == 0);
	uslub_free_nolock(large);
}

static void bad_arguments_are_refused(void)
{
	struct uslub_account usage;

	errno = 0;
	CHECK(!uslub_malloc_nolock(10, 2, 0) && errno == EINVAL);
	errno = 0;
	CHECK(!uslub_malloc_nolock(10, USLUB_ACCOUNT(15), 0) && errno == EINVAL);
	errno = 0;
	CHECK(!uslub_malloc_nolock(10, USLUB_ACCOUNT(99), 0) && errno == EINVAL);
	errno = 0;
	CHECK(!uslub_malloc_nolock(SIZE_MAX, 0, 0) && errno == ENOMEM);
	errno = 0;
	CHECK(uslub_account_read(0, &usage) == -1 && errno == EINVAL);
	errno = 0;
	CHECK(uslub_account_read(9, &usage) == -1 && errno == EINVAL);
	errno = 0;
	CHECK(uslub_account_create("") == -1 && errno == EINVAL);
	errno = 0;
	CHECK(uslub_account_create("a name that is longer than any may be") == -1 &&
	      errno == EINVAL);
	errno = 5;
	uslub_free_nolock(NULL);
	CHECK(errno == 5);
}

/* Beyond the reserve's room the kernel gives. */
static void more_than_the_reserve(void)
{
	static unsigned char *p[800];

	for (int i = 0; i < 800; i++) {
		CHECK(p[i] = uslub_malloc_nolock(100000, 0, USLUB_NO_NODE));
		p[i][0] = p[i][99999] = 1;
	}
	for (int i = 0; i < 800; i++)
		uslub_free_nolock(p[i]);
}

static void *from_a_new_thread(void *arg)
{
	void *p = uslub_malloc_nolock(64, 0, USLUB_NO_NODE);

	uslub_free_nolock(p);
	return arg;
}

int main(int argc, char **argv)
{
	bool reserve = argc > 1 && !strcmp(argv[1], "reserve");
	long before;
	pthread_t thread;

	bad_arguments_are_refused();
	accounts_count();
	more_than_the_reserve();
	CHECK(pthread_create(&thread, NULL, from_a_new_thread, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	one_round();
	/* An emulator makes system calls and page faults of its own, and has no filters. */
	if (!reserve || emulated())
		return 0;
	forbid_system_calls();
	before = page_faults();
	for (int i = 0; i < 20; i++)
		one_round();
	CHECK(page_faults() == before);
	_exit(0);
}
