/* When the machine's nodes are looked at: by its events, or by the clock; and what is read of events. */
#include "heap.h"

#include <errno.h>

#include "core/node_control.h"
#include "core/os_file.h"
#include "core/os_uevent.h"

/* The test's, in place of the core's. */
static uint64_t clock_ms = 5000;
static unsigned int looks;
static bool several = true;
static uint32_t moving;

uint64_t __wrap_os_clock_ms(void);
uint32_t __wrap_hotplug_poll(void);
bool __wrap_hotplug_look(void);
long __wrap_os_receive(int fd, void *buf, size_t size);

uint64_t __wrap_os_clock_ms(void)
{
	return clock_ms;
}

uint32_t __wrap_hotplug_poll(void)
{
	return moving;
}

bool __wrap_hotplug_look(void)
{
	looks++;
	return several;
}

/* What the socket holds; the last one stays. */
static const long *received;

long __wrap_os_receive(int fd, void *buf, size_t size)
{
	assert_int_equal(fd, 77);
	assert_non_null(buf);
	assert_true(size >= 2048);
	return received[0] == -EAGAIN || !received[1] ? *received : *received++;
}

static uint32_t after(uint64_t ms, enum node_news news, unsigned int expected)
{
	uint32_t again;

	looks = 0;
	clock_ms += ms;
	again = node_control_poll(news);
	assert_int_equal(looks, expected);
	return again;
}

static void what_is_told_is_looked_at(void **state)
{
	(void)state;
	assert_int_equal(after(1000, NODES_QUIET, 0), 0);
	/* Once more when what follows from it is done. */
	assert_int_equal(after(0, NODES_CHANGED, 1), 1000);
	assert_int_equal(after(300, NODES_QUIET, 0), 700);
	assert_int_equal(after(700, NODES_QUIET, 1), 0);
	assert_int_equal(after(100000, NODES_QUIET, 0), 0);
	/* Many at once: a look at first, some in between, and those that are due when they are over. */
	assert_int_equal(after(0, NODES_CHANGED, 1), 1000);
	assert_int_equal(after(0, NODES_CHANGED, 0), 100);
	assert_int_equal(after(40, NODES_CHANGED, 0), 60);
	assert_int_equal(after(40, NODES_QUIET, 0), 20);
	assert_int_equal(after(20, NODES_CHANGED, 1), 1000);
	assert_int_equal(after(200, NODES_QUIET, 0), 800);
	assert_int_equal(after(800, NODES_QUIET, 1), 0);
	assert_int_equal(after(200, NODES_QUIET, 0), 0);
	/* Simulated nodes: nothing becomes of the machine's. */
	several = false;
	assert_int_equal(after(0, NODES_CHANGED, 1), 0);
	several = true;
}

static void what_nobody_tells_is_looked_for(void **state)
{
	(void)state;
	assert_int_equal(after(1000, NODES_UNWATCHED, 1), 1000);
	assert_int_equal(after(400, NODES_UNWATCHED, 0), 600);
	assert_int_equal(after(600, NODES_UNWATCHED, 1), 1000);
	/* It begins to be told, and there is nobody any more. */
	assert_int_equal(after(0, NODES_CHANGED, 0), 100);
	assert_int_equal(after(500, NODES_UNWATCHED, 1), 1000);
	several = false;
	assert_int_equal(after(1000, NODES_UNWATCHED, 1), 0);
	assert_int_equal(after(500, NODES_UNWATCHED, 0), 500);
	several = true;
}

static void what_moves_is_not_kept_waiting(void **state)
{
	(void)state;
	moving = 1;
	assert_int_equal(after(2000, NODES_QUIET, 1), 1);
	assert_int_equal(after(2000, NODES_QUIET, 0), 1);
	assert_int_equal(after(0, NODES_UNWATCHED, 1), 1);
	assert_int_equal(after(10, NODES_UNWATCHED, 0), 1);
	moving = 0;
	assert_int_equal(after(2000, NODES_UNWATCHED, 1), 1000);
}

static enum os_uevent take(const long *what)
{
	received = what;
	return os_uevent_take(77);
}

static void events_are_taken_to_the_last(void **state)
{
	(void)state;
	assert_int_equal(take((long[]){-EAGAIN, 0}), UEVENT_NONE);
	assert_int_equal(take((long[]){100, 70, -EAGAIN, 0}), UEVENT_SEEN);
	assert_int_equal(*received, -EAGAIN);
	/* The kernel dropped some: there were some. */
	assert_int_equal(take((long[]){-ENOBUFS, -EAGAIN, 0}), UEVENT_SEEN);
	assert_int_equal(take((long[]){-EINTR, 100, -EAGAIN, 0}), UEVENT_SEEN);
	assert_int_equal(take((long[]){100, -EPERM, 0}), UEVENT_LOST);
	assert_int_equal(take((long[]){-EBADF, 0}), UEVENT_LOST);
	/* A stream that never ends. */
	assert_int_equal(take((long[]){100, 0}), UEVENT_SEEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_told_is_looked_at),
		cmocka_unit_test(what_nobody_tells_is_looked_for),
		cmocka_unit_test(what_moves_is_not_kept_waiting),
		cmocka_unit_test(events_are_taken_to_the_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
