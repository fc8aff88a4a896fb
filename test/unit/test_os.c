/* The contract of os.h: what each call does, that it can fail, and that errno stays as it was. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

#include "core/os.h"

#define SIZE ((size_t)1 << 20)
/* Beyond what a process may map. */
#define NOWHERE ((void *)(UINTPTR_MAX & ~(uintptr_t)0xffff))
#define TOO_LARGE ((size_t)1 << 62)

static void assert_no_access(char *p)
{
	assert_false(os_is_readable(p));
	assert_false(os_is_readable(p + SIZE - 8));
}

static void reserved_space_is_made_accessible(void **state)
{
	char *p = os_reserve(SIZE);

	(void)state;
	assert_non_null(p);
	assert_no_access(p);
	assert_true(os_commit(p, SIZE));
	assert_true(os_commit(p, SIZE));
	assert_true(is_zero(p, SIZE));
	memset(p, 1, SIZE);
	assert_true(os_purge(p, SIZE));
	assert_true(is_zero(p, SIZE));
	memset(p, 1, SIZE);
	assert_true(os_uncommit(p, SIZE));
	assert_no_access(p);
	assert_true(os_commit(p, SIZE));
	assert_true(is_zero(p, SIZE));
	os_unmap(p, SIZE);
	assert_no_access(p);
}

static void addresses_can_be_asked_for(void **state)
{
	char *p = os_reserve(SIZE);

	(void)state;
	assert_false(os_reserve_at(p, SIZE));
	os_unmap(p, SIZE);
	assert_true(os_reserve_at(p, SIZE));
	assert_no_access(p);
	assert_false(os_reserve_at(p + SIZE / 2, SIZE));
	assert_false(os_reserve_at(NOWHERE, SIZE));
	os_unmap(p, SIZE);
}

static void mappings_are_resized_in_place(void **state)
{
	char *p = os_reserve(3 * SIZE);

	(void)state;
	/* So that there is room behind it. */
	os_unmap(p, 3 * SIZE);
	assert_true(os_reserve_at(p, SIZE));
	assert_true(os_commit(p, SIZE));
	memset(p, 5, SIZE);
	assert_true(os_resize(p, SIZE, 2 * SIZE));
	assert_int_equal(p[SIZE - 1], 5);
	assert_true(is_zero(p + SIZE, SIZE));
	assert_true(os_resize(p, 2 * SIZE, SIZE / 2));
	assert_false(os_is_readable(p + SIZE / 2));
	assert_true(os_reserve_at(p + SIZE / 2, SIZE));
	assert_false(os_resize(p, SIZE / 2, SIZE));
	assert_int_equal(p[0], 5);
	os_unmap(p, SIZE / 2 + SIZE);
}

static void mappings_move_onto_reserved_space(void **state)
{
	char *from = os_map(SIZE), *to = os_reserve(2 * SIZE);

	(void)state;
	memset(from, 6, SIZE);
	assert_true(os_move(from, SIZE, to, 2 * SIZE));
	assert_no_access(from);
	assert_true(to[0] == 6 && to[SIZE - 1] == 6 && is_zero(to + SIZE, SIZE));
	assert_false(os_move(to, 2 * SIZE, NOWHERE, 2 * SIZE));
	assert_int_equal(to[0], 6);
	os_unmap(to, 2 * SIZE);
}

static void refusals_leave_errno_alone(void **state)
{
	int pipe_fds[2];

	(void)state;
	assert_false(pipe(pipe_fds));
	close(pipe_fds[0]);
	signal(SIGPIPE, SIG_IGN);
	errno = 77;
	assert_null(os_reserve(TOO_LARGE));
	assert_null(os_map(TOO_LARGE));
	assert_false(os_reserve_at((void *)1, SIZE));
	assert_false(os_commit(NOWHERE, SIZE));
	assert_false(os_uncommit(NOWHERE, SIZE));
	assert_false(os_purge(NOWHERE, SIZE));
	assert_false(os_resize(NOWHERE, SIZE, 2 * SIZE));
	assert_false(os_wipe_on_fork(NOWHERE, SIZE));
	assert_false(os_is_readable(NOWHERE));
	assert_true(os_is_resident(NOWHERE));
	assert_int_equal(os_resident(NOWHERE, SIZE), 0);
	os_huge_pages(NOWHERE, SIZE, true);
	assert_false(os_populate(NOWHERE, SIZE));
	assert_false(os_unmap(NOWHERE, SIZE));
	os_write(-1, "x", 1);
	os_write(pipe_fds[1], "x", 1);
	os_clock_ms();
	os_address_limit();
	os_page_size();
	os_getpid();
	assert_int_equal(errno, 77);
	signal(SIGPIPE, SIG_DFL);
	close(pipe_fds[1]);
}

static void readable_is_what_can_be_read(void **state)
{
	static const char constant[8] = "const";
	char *p = os_map(2 * os_page_size()), here[8];

	(void)state;
	assert_true(os_is_readable(here));
	assert_true(os_is_readable(constant));
	assert_true(os_is_readable(p + 5));
	os_unmap(p + os_page_size(), os_page_size());
	assert_true(os_is_readable(p + os_page_size() - 8));
	assert_false(os_is_readable(p + os_page_size() - 7));
	assert_false(os_is_readable(NULL));
	assert_false(os_is_readable((void *)UINTPTR_MAX));
	os_unmap(p, os_page_size());
}

static void resident_is_what_was_touched(void **state)
{
	size_t page = os_page_size();
	char *p = os_map(3 * page);

	(void)state;
	assert_false(os_is_resident(p + page));
	p[page] = 1;
	assert_true(os_is_resident(p + page));
	assert_false(os_is_resident(p) || os_is_resident(p + 2 * page));
	assert_true(os_purge(p, 3 * page));
	assert_false(os_is_resident(p + page));
	p[0] = p[2 * page] = 1;
	assert_int_equal(os_resident(p, 3 * page), 2 * page);
	os_unmap(p, 3 * page);
	assert_int_equal(os_resident(NOWHERE, page), 0);
	/* Unknown is resident: who asks goes the long way then. */
	assert_true(os_is_resident(NOWHERE));
}

/* The question is put to the kernel by way of the signal mask. */
static void asking_changes_no_signal_mask(void **state)
{
	sigset_t before, after, mask;

	(void)state;
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	sigprocmask(SIG_BLOCK, &mask, &before);
	memset(&mask, 0xff, sizeof(mask));
	assert_true(os_is_readable(&mask));
	sigprocmask(SIG_SETMASK, &before, &after);
	assert_true(sigismember(&after, SIGUSR2));
	assert_false(sigismember(&after, SIGUSR1));
	assert_false(sigismember(&after, SIGSEGV));
}

static void read_zero(void *page)
{
	must(*(int *)page == 0);
}

static void a_page_is_wiped_in_children(void **state)
{
	int *page = os_map(os_page_size());

	(void)state;
	skip_if(UNDER_EMULATOR, "qemu does not wipe pages in children");
	assert_true(os_wipe_on_fork(page, os_page_size()));
	*page = 5;
	run_good_child(read_zero, page);
	assert_int_equal(*page, 5);
	os_unmap(page, os_page_size());
}

static void the_clock_goes_on(void **state)
{
	uint64_t before = os_clock_ms(), real = now_ms();

	(void)state;
	assert_true(before <= real + 1 && real - before < 1000);
	sleep_ms(60);
	assert_true(os_clock_ms() >= before + 40);
}

static void limits_are_read(void **state)
{
	struct rlimit limit, other;

	(void)state;
	skip_if(UNDER_EMULATOR, "qemu knows no RLIMIT_AS");
	assert_int_equal(os_page_size(), sysconf(_SC_PAGESIZE));
	assert_false(getrlimit(RLIMIT_AS, &limit));
	if (limit.rlim_cur == RLIM_INFINITY)
		assert_true(os_address_limit() == SIZE_MAX);
	other = limit;
	other.rlim_cur = (rlim_t)1 << 46;
	assert_false(setrlimit(RLIMIT_AS, &other));
	assert_true(os_address_limit() == (size_t)1 << 46);
	assert_false(setrlimit(RLIMIT_AS, &limit));
}

static void ids_are_the_kernels(void **state)
{
	(void)state;
	assert_int_equal(os_getpid(), getpid());
	assert_int_equal(os_gettid(), gettid());
}

#define LONG_TEXT ((size_t)300000)

static void *read_slowly(void *arg)
{
	static char text[LONG_TEXT + 1];

	read_all(*(int *)arg, text, sizeof(text));
	must(strlen(text) == LONG_TEXT);
	for (size_t i = 0; i < LONG_TEXT; i++)
		must(text[i] == 'a' + (char)(i % 7));
	return NULL;
}

/* More than a pipe takes at once. */
static void long_texts_are_written_whole(void **state)
{
	static char text[LONG_TEXT];
	pthread_t thread;
	int fds[2];

	(void)state;
	for (size_t i = 0; i < LONG_TEXT; i++)
		text[i] = (char)('a' + (char)(i % 7));
	assert_false(pipe(fds));
	assert_false(pthread_create(&thread, NULL, read_slowly, &fds[0]));
	os_write(fds[1], text, LONG_TEXT);
	close(fds[1]);
	pthread_join(thread, NULL);
	close(fds[0]);
}

static void interrupt(int sig)
{
	(void)sig;
}

struct blocked {
	pthread_t writer;
	int fd;
	char last[4];
};

/* Signals while the writer waits for the pipe to drain; then it drains. */
static void *interrupt_and_drain(void *arg)
{
	struct blocked *b = arg;
	static char bytes[1 << 17];

	for (unsigned int i = 0; i < 3; i++) {
		sleep_ms(30);
		must(!pthread_kill(b->writer, SIGUSR1));
	}
	read_all(b->fd, bytes, sizeof(bytes));
	memcpy(b->last, bytes + strlen(bytes) - 3, 4);
	return NULL;
}

static void an_interrupted_write_is_repeated(void **state)
{
	struct sigaction action = {.sa_handler = interrupt};
	struct blocked b = {.writer = pthread_self()};
	char filler[4096];
	pthread_t thread;
	int fds[2];

	(void)state;
	memset(filler, 'x', sizeof(filler));
	assert_false(pipe(fds));
	b.fd = fds[0];
	assert_false(sigaction(SIGUSR1, &action, NULL));
	assert_int_not_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), -1);
	while (write(fds[1], filler, sizeof(filler)) > 0)
		;
	assert_int_not_equal(fcntl(fds[1], F_SETFL, 0), -1);
	assert_false(pthread_create(&thread, NULL, interrupt_and_drain, &b));
	os_write(fds[1], "end", 3);
	close(fds[1]);
	pthread_join(thread, NULL);
	close(fds[0]);
	assert_string_equal(b.last, "end");
}

static unsigned int ended;
static unsigned int ended_before_destructor;
static pthread_key_t key;

static void at_end(void *arg)
{
	ended += *(unsigned int *)arg;
}

static void destructor(void *arg)
{
	(void)arg;
	ended_before_destructor += ended;
}

static void *end_soon(void *arg)
{
	must(!pthread_setspecific(key, arg));
	must(os_at_thread_exit(at_end, arg));
	return NULL;
}

static void the_end_of_a_thread_is_told(void **state)
{
	unsigned int three = 3;

	(void)state;
	assert_false(pthread_key_create(&key, destructor));
	run_thread(end_soon, &three);
	assert_int_equal(ended, 3);
	assert_int_equal(ended_before_destructor, 0);
	run_thread(end_soon, &three);
	assert_int_equal(ended, 6);
	pthread_key_delete(key);
}

static void use_up_keys(void *arg)
{
	unsigned int one = 1;
	pthread_key_t unused;

	(void)arg;
	while (!pthread_key_create(&unused, NULL))
		;
	must(!os_at_thread_exit(at_end, &one));
}

/* Run before this process has its key. */
static void without_keys_it_says_so(void **state)
{
	(void)state;
	run_good_child(use_up_keys, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_keys_it_says_so),
		cmocka_unit_test(reserved_space_is_made_accessible),
		cmocka_unit_test(addresses_can_be_asked_for),
		cmocka_unit_test(mappings_are_resized_in_place),
		cmocka_unit_test(mappings_move_onto_reserved_space),
		cmocka_unit_test(refusals_leave_errno_alone),
		cmocka_unit_test(readable_is_what_can_be_read),
		cmocka_unit_test(resident_is_what_was_touched),
		cmocka_unit_test(asking_changes_no_signal_mask),
		cmocka_unit_test(a_page_is_wiped_in_children),
		cmocka_unit_test(the_clock_goes_on),
		cmocka_unit_test(limits_are_read),
		cmocka_unit_test(ids_are_the_kernels),
		cmocka_unit_test(long_texts_are_written_whole),
		cmocka_unit_test(an_interrupted_write_is_repeated),
		cmocka_unit_test(the_end_of_a_thread_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
