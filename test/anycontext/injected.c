/*
 * Preloaded into programs that know nothing of it: a SIGPROF handler that allocates, resizes, checks and
 * frees objects of its own, thousands of times a second, in whatever thread the signal meets. At exit each
 * process adds a line to the file that INJECTED_REPORT names: how many handlers ran, and how many of them
 * interrupted the allocator.
 */
#include <fcntl.h>
#include <stdatomic.h>

#include "interrupt.h"

#define NR_SLOTS 64
#define PER_SIGNAL 6
#define MAX_SIZE 6000

/* Marked at both ends; what lies between is filled with a byte of the mark. */
struct object {
	uint64_t mark;
	size_t size; /* of fill */
	unsigned char fill[];
};

/* Whoever exchanges a slot owns what was in it: handlers run in several threads at once. */
static _Atomic(struct object *) slots[NR_SLOTS];
static _Atomic uint64_t marks;
static _Atomic unsigned long handled, inside;
static timer_t timer;

static struct object *fill_object(struct object *o, size_t size)
{
	CHECK_THAT(o, "no memory for %zu bytes", size);
	o->mark = marks++;
	o->size = size;
	memset(o->fill, (unsigned char)o->mark, size);
	memcpy(o->fill + size, &o->mark, sizeof(o->mark));
	return o;
}

static void check_object(const struct object *o)
{
	uint64_t end;

	CHECK_THAT(o->size <= MAX_SIZE, "object %lu at %p is overwritten: size %zu", o->mark,
		   (const void *)o, o->size);
	memcpy(&end, o->fill + o->size, sizeof(end));
	CHECK_THAT(end == o->mark && all_bytes(o->fill, (unsigned char)o->mark, o->size),
		   "object %lu of %zu bytes at %p is overwritten", o->mark, o->size,
		   (const void *)o);
}

static size_t whole_size(size_t size)
{
	return sizeof(struct object) + size + sizeof(uint64_t);
}

static struct object *resize(struct object *o, size_t size)
{
	uint64_t mark = o->mark;
	size_t kept = o->size < size ? o->size : size;

	o = realloc(o, whole_size(size));
	CHECK_THAT(o && o->mark == mark && all_bytes(o->fill, (unsigned char)mark, kept),
		   "realloc has lost object %lu", mark);
	return fill_object(o, size);
}

static void exchange_one(uint64_t *random)
{
	_Atomic(struct object *) *slot = &slots[next_random(random) % NR_SLOTS];
	struct object *o = atomic_exchange(slot, NULL);
	size_t size = next_random(random) % MAX_SIZE;

	if (o)
		check_object(o);
	if (o && next_random(random) % 4 == 0) {
		o = resize(o, size);
	} else {
		free(o);
		o = fill_object(malloc(whole_size(size)), size);
	}
	o = atomic_exchange(slot, o);
	if (o) {
		check_object(o);
		free(o);
	}
}

static void on_sigprof(int signal, siginfo_t *info, void *context)
{
	int saved = errno;
	uint64_t random = (marks + 1) * 2654435761u;

	(void)signal;
	(void)info;
	inside += in_allocator(context);
	for (int i = 0; i < PER_SIGNAL; i++)
		exchange_one(&random);
	handled++;
	errno = saved;
}

/* A timer is not inherited by a child; its handler is. */
static void start(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGPROF};
	const char *rate = getenv("INJECTED_RATE");

	handled = inside = 0;
	CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	set_timer(timer, 1000000000 / (rate ? strtol(rate, NULL, 10) : 5000));
}

__attribute__((constructor)) static void inject(void)
{
	find_allocator();
	handle_sigprof(on_sigprof);
	CHECK(pthread_atfork(NULL, NULL, start) == 0);
	start();
}

__attribute__((destructor)) static void report_at_exit(void)
{
	const char *path = getenv("INJECTED_REPORT");
	char line[100];
	int fd, length;

	set_timer(timer, 0);
	fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT, 0600) : -1;
	if (fd < 0)
		return;
	length = snprintf(line, sizeof(line), "%lu %lu\n", handled, inside);
	write_all(fd, line, (size_t)length);
	close(fd);
}
