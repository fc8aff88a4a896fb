/* A program that does what it is told on stdin, and says on stdout when it has: the one that the tests look at. */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void **objects;
static size_t nr_objects;
static volatile sig_atomic_t signals_here, signals_elsewhere;
static pid_t main_thread;

static void sleep_ms(long ms)
{
	struct timespec time = {ms / 1000, ms % 1000 * 1000000L};

	nanosleep(&time, NULL);
}

static void say(const char *what, long number)
{
	printf("%s %ld\n", what, number);
	fflush(stdout);
}

static void hold(size_t n, size_t size)
{
	objects = calloc(n, sizeof(*objects));
	for (nr_objects = 0; nr_objects < n; nr_objects++)
		objects[nr_objects] = malloc(size);
}

static void release(void)
{
	while (nr_objects)
		free(objects[--nr_objects]);
	say("freed", 0);
}

/* Each object is full of what its place says. */
static int tag_of(size_t place)
{
	return (int)(place * 7 % 251) + 1;
}

static bool is_full_of(const unsigned char *object, size_t size, int tag)
{
	return object[0] == tag && memcmp(object, object + 1, size - 1) == 0;
}

static size_t filled_size;

static void fill(size_t n, size_t size)
{
	hold(n, size);
	filled_size = size;
	for (size_t i = 0; i < n; i++)
		memset(objects[i], tag_of(i), size);
	say("filled", (long)n);
}

static void verify(void)
{
	long wrong = 0;

	for (size_t i = 0; i < nr_objects; i++)
		wrong += !is_full_of(objects[i], filled_size, tag_of(i));
	say("wrong", wrong);
}

/* Leaves slabs behind, an eighth of each in use. */
static void *scatter(void *arg)
{
	size_t size = *(size_t *)arg;
	static void *all[4000];

	for (int i = 0; i < 4000; i++)
		all[i] = malloc(size);
	for (int i = 0; i < 4000; i++) {
		if (i % 8)
			free(all[i]);
	}
	return NULL;
}

static _Atomic bool stop_churning;
static _Atomic long wrong_objects, nr_churned;
static pthread_t churners[2];

/* Objects of all sizes that live for a while, each full of what it should be to its end. */
static void *churn(void *arg)
{
	static const size_t sizes[] = {40, 300, 2048, 9000, 70000};
	unsigned char *mine[64] = {NULL};
	size_t have[64] = {0};

	for (size_t i = 0; !stop_churning; i++) {
		size_t at = i * 37 % 64;

		if (mine[at] && !is_full_of(mine[at], have[at], tag_of(at)))
			wrong_objects++;
		free(mine[at]);
		have[at] = sizes[i % 5];
		mine[at] = malloc(have[at]);
		memset(mine[at], tag_of(at), have[at]);
		nr_churned++;
	}
	for (size_t at = 0; at < 64; at++)
		free(mine[at]);
	return arg;
}

static void start_churning(void)
{
	for (int i = 0; i < 2; i++) {
		if (pthread_create(&churners[i], NULL, churn, NULL))
			abort();
	}
	say("churning", 2);
}

static void end_churning(void)
{
	stop_churning = true;
	for (int i = 0; i < 2; i++)
		pthread_join(churners[i], NULL);
	say("churned", nr_churned);
	say("wrong", wrong_objects);
}

/* Takes slow paths of malloc. */
static void allocate(void)
{
	for (int i = 0; i < 200; i++)
		(void)!malloc(100);
}

__attribute__((noreturn)) static void be_child(int allocates)
{
	if (allocates)
		allocate();
	for (;;)
		pause();
}

static pid_t fork_by(const char *kind)
{
	if (strcmp(kind, "_Fork") == 0)
		return _Fork();
	if (strcmp(kind, "clone") == 0)
		return (pid_t)syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
	return fork();
}

static void make_child(const char *kind, int allocates)
{
	pid_t pid = fork_by(kind);

	if (pid == 0)
		be_child(allocates);
	say("child", pid);
}

/* Children that end just when they have begun to serve. */
static void make_short_children(long n)
{
	for (long i = 0; i < n; i++) {
		struct timespec time = {0, 10000000 + i % 40 * 25000};

		if (fork() == 0) {
			nanosleep(&time, NULL);
			exit(0);
		}
		while (i % 40 == 39 && wait(NULL) > 0)
			;
	}
	say("short", n);
}

/* In the child memory is the parent's; it must not take the parent's place. */
static void make_vfork_child(void)
{
	pid_t pid = vfork();

	if (pid == 0) {
		allocate();
		sleep_ms(50);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	say("child", pid);
}

static void *from_thread(void *kind)
{
	make_child(kind, 1);
	return NULL;
}

static void run_thread(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, fn, arg) || pthread_join(thread, NULL))
		abort();
}

static void on_signal(int number)
{
	(void)number;
	if ((pid_t)syscall(SYS_gettid) == main_thread)
		signals_here++;
	else
		signals_elsewhere++;
}

static void take_signals(long n)
{
	signals_here = signals_elsewhere = 0;
	signal(SIGUSR1, on_signal);
	for (long i = 0; i < n; i++)
		kill(getpid(), SIGUSR1);
	say("signals", signals_here);
	say("elsewhere", signals_elsewhere);
}

__attribute__((noreturn)) static void close_all(void)
{
	say("closing", 0);
	for (int fd = 0; fd < 1024; fd++)
		close(fd);
	for (int i = 0; i < 100; i++) {
		allocate();
		sleep_ms(20);
	}
	exit(43);
}

static void make_cache(const char *name, size_t size)
{
	void *(*create)(const char *, size_t, size_t, unsigned int, void (*)(void *));
	void *symbol = dlsym(RTLD_DEFAULT, "kmem_cache_create");

	memcpy(&create, &symbol, sizeof(create));
	say("cache", symbol && create(name, size, 0, 0, NULL) ? 0 : 1);
}

static void *sleep_then_say(void *arg)
{
	sleep_ms(300);
	say("last", 0);
	return arg;
}

static void leave_by_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, sleep_then_say, NULL))
		abort();
	pthread_exit(NULL);
}

/* Orders about what is held. */
static bool obey_heap(const char *word, const char *arg, size_t size)
{
	if (strcmp(word, "hold") == 0) {
		hold(strtoul(arg, NULL, 10), size);
		say("held", (long)nr_objects);
	} else if (strcmp(word, "fill") == 0) {
		fill(strtoul(arg, NULL, 10), size);
	} else if (strcmp(word, "verify") == 0) {
		verify();
	} else if (strcmp(word, "free") == 0) {
		release();
	} else if (strcmp(word, "scatter") == 0) {
		size = strtoul(arg, NULL, 10);
		run_thread(scatter, &size);
		say("scattered", 500);
	} else if (strcmp(word, "untouched") == 0) {
		say("untouched", malloc(strtoul(arg, NULL, 10) << 20) != NULL);
	} else if (strcmp(word, "churn") == 0) {
		start_churning();
	} else if (strcmp(word, "churned") == 0) {
		end_churning();
	} else {
		return false;
	}
	return true;
}

static void obey(char *line)
{
	char word[32] = "", arg[64] = "";
	long number = 0;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%31s %63s %ld", word, arg, &number) < 1)
		abort();
	if (obey_heap(word, arg, (size_t)number))
		return;
	if (strcmp(word, "child") == 0 && strcmp(arg, "vfork") == 0)
		make_vfork_child();
	else if (strcmp(word, "child") == 0)
		make_child(arg, (int)number);
	else if (strcmp(word, "short_children") == 0)
		make_short_children(strtol(arg, NULL, 10));
	else if (strcmp(word, "thread_child") == 0)
		run_thread(from_thread, arg);
	else if (strcmp(word, "signals") == 0)
		take_signals(strtol(arg, NULL, 10));
	else if (strcmp(word, "close_all") == 0)
		close_all();
	else if (strcmp(word, "setuid") == 0)
		say("setuid", setuid((uid_t)strtoul(arg, NULL, 10)));
	else if (strcmp(word, "cache") == 0)
		make_cache(arg, (size_t)number);
	else if (strcmp(word, "pthread_exit") == 0)
		leave_by_thread();
	else if (strcmp(word, "_exit") == 0)
		_exit(44);
	else
		abort();
}

int main(void)
{
	char *line = NULL;
	size_t size = 0;

	main_thread = (pid_t)syscall(SYS_gettid);
	say("ready", getpid());
	while (getline(&line, &size, stdin) > 0)
		obey(line);
	free(line);
	return 0;
}
