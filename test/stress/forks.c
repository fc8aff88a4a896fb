/*
 * Children in every form while all threads allocate: fork, vfork, _Fork, a bare clone, and a
 * clone that shares the memory as posix_spawn's does. A child allocates, frees, and checks what
 * its parent had; one that hangs is ended by its own alarm. Some forks come out of a signal
 * handler, over a malloc.
 *   --mix fork | vfork | _Fork | clone | spawn | handler | all
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "stress.h"

enum { KEPT = 300, MAX_THREADS = 32, CHILD_LIMIT = 30 };

static struct stress_options options = {.seconds = 4, .threads = 4};
static pthread_t workers[MAX_THREADS];
static _Atomic bool stop;

/* Of the thread that forks; a child has them too. */
static struct record kept[KEPT];

static void *keep_busy(void *number)
{
	struct record slots[64] = {0};
	struct random r;

	random_seed(&r, options.seed, (uint64_t)(uintptr_t)number);
	while (!atomic_load(&stop)) {
		struct record *o = &slots[random_below(&r, 64)];

		if (o->p)
			object_free(o, &r);
		else
			object_make(o, &r, MIX_SMALL);
	}
	for (int i = 0; i < 64; i++) {
		if (slots[i].p)
			object_free(&slots[i], &r);
	}
	return NULL;
}

/* What shares its parent's memory must leave it as it was. */
static void use_the_heap(uint64_t stream)
{
	struct record own[40] = {0};
	struct random r;

	random_seed(&r, options.seed, stream);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 40; i++)
			object_make(&own[i], &r, MIX_SMALL);
		for (int i = 0; i < 40; i++)
			object_free(&own[i], &r);
	}
	for (int i = 0; i < KEPT; i++)
		object_check(&kept[i]);
}

static void live_as_a_copy(uint64_t stream)
{
	struct random r;

	alarm(CHILD_LIMIT);
	use_the_heap(stream);
	random_seed(&r, options.seed, stream + 1);
	for (int i = 0; i < KEPT; i++)
		object_free(&kept[i], &r);
	for (int i = 0; i < KEPT; i++)
		object_make(&kept[i], &r, MIX_SMALL);
	use_the_heap(stream + 2);
	_exit(0);
}

static pid_t child_by_fork(uint64_t stream)
{
	pid_t child = fork();

	if (child == 0)
		live_as_a_copy(stream);
	return child;
}

static pid_t child_by_bare_fork(uint64_t stream)
{
	pid_t child = _Fork();

	if (child == 0)
		live_as_a_copy(stream);
	return child;
}

static pid_t child_by_clone(uint64_t stream)
{
	pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (child == 0)
		live_as_a_copy(stream);
	return child;
}

static pid_t child_by_vfork(uint64_t stream)
{
	pid_t child = vfork();

	if (child == 0) {
		use_the_heap(stream);
		_exit(0);
	}
	return child;
}

static int spawned(void *stream)
{
	use_the_heap(*(uint64_t *)stream);
	return 0;
}

static pid_t child_by_spawn(uint64_t stream)
{
	static _Alignas(16) char stack[256 * 1024];

	return clone(spawned, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &stream);
}

static _Atomic bool handled;
static _Atomic pid_t child_of_handler;

/* May have interrupted malloc itself. */
static void fork_here(int signal)
{
	(void)signal;
	atomic_store(&child_of_handler, child_by_bare_fork(77));
	atomic_store(&handled, true);
}

static pid_t child_by_handler(uint64_t stream)
{
	struct record o = {0};
	struct random r;

	random_seed(&r, options.seed, stream);
	atomic_store(&handled, false);
	pthread_kill(workers[0], SIGUSR2);
	while (!atomic_load(&handled)) {
		object_make(&o, &r, MIX_SMALL);
		object_free(&o, &r);
	}
	return atomic_load(&child_of_handler);
}

static const struct {
	const char *name;
	pid_t (*make)(uint64_t stream);
} kinds[] = {
	{"fork", child_by_fork},   {"vfork", child_by_vfork}, {"_Fork", child_by_bare_fork},
	{"clone", child_by_clone}, {"spawn", child_by_spawn}, {"handler", child_by_handler},
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void wait_for(pid_t child, const char *name)
{
	int status;

	CHECK_THAT(child > 0, "%s failed", name);
	while (waitpid(child, &status, 0) != child)
		CHECK_THAT(errno == EINTR, "the child of %s is lost", name);
	CHECK_THAT(!WIFSIGNALED(status) || WTERMSIG(status) != SIGALRM, "the child of %s hung",
		   name);
	CHECK_THAT(status == 0, "the child of %s ended with status %#x", name,
		   (unsigned int)status);
}

static unsigned long make_children(void)
{
	unsigned long made[N_KINDS] = {0}, all = 0;

	for (uint64_t stream = 1000; stress_running_now(); stream += 10) {
		size_t kind = stream / 10 % N_KINDS;
		struct random r;

		if (options.mix && strcmp(options.mix, kinds[kind].name) != 0)
			continue;
		wait_for(kinds[kind].make(stream), kinds[kind].name);
		made[kind]++;
		random_seed(&r, options.seed, stream);
		object_resize(&kept[random_below(&r, KEPT)], &r, MIX_SMALL);
	}
	for (size_t i = 0; i < N_KINDS; i++) {
		printf("%s %lu  ", kinds[i].name, made[i]);
		all += made[i];
	}
	puts("children");
	return all;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = fork_here, .sa_flags = SA_RESTART};
	struct random r;

	stress_parse(&options, argc, argv);
	if (options.mix && strcmp(options.mix, "all") == 0)
		options.mix = NULL;
	CHECK(options.threads >= 1 && options.threads <= MAX_THREADS);
	CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
	random_seed(&r, options.seed, 0);
	for (int i = 0; i < KEPT; i++)
		object_make(&kept[i], &r, MIX_SMALL);
	for (uintptr_t i = 0; i < options.threads; i++)
		CHECK(pthread_create(&workers[i], NULL, keep_busy, (void *)(i + 1)) == 0);
	CHECK_THAT(make_children() > 10, "hardly any child was made");
	atomic_store(&stop, true);
	for (unsigned int i = 0; i < options.threads; i++)
		CHECK(pthread_join(workers[i], NULL) == 0);
	for (int i = 0; i < KEPT; i++)
		object_free(&kept[i], &r);
	stress_check_all_freed();
	return 0;
}
