/*
 * Runs cases, each in a process group of its own with the library preloaded, and turns the end of each
 * into a word. Layer: tools. Called by command.c, under the C library's own malloc.
 *
 * A case hangs when its time is over and it has either had SPIN times that much processor time, or has
 * none for a while: a malloc that waits for itself spins or sleeps for ever. One that is slow, or starved
 * by a busy machine, goes on, up to PATIENCE times its limit. The whole group is killed. No process outlives the runner,
 * and none leaves a core dump.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runner.h"

#define MAX_JOBS 64u
#define MAX_WORDS 32u
/* Seconds between looks at what a case does that is over its limit. */
#define LOOK_EVERY 2.0
#define SPIN 5.0
#define PATIENCE 20.0

struct run {
	struct result result;
	pid_t pid;     /* 0: this slot is free */
	int report_fd; /* figures come in */
	int output_fd; /* so does what it writes to stdout and stderr */
	double start;
	double limit;
	double looked, usage; /* when it was over its limit: the last look, and what it had used */
	bool timed_out;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(2);
}

/* Reads what is there, keeps what fits, and drops the rest. */
static void drain(int fd, char *text, size_t size)
{
	char buffer[4096];
	size_t have = strlen(text);
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
		size_t room = size - 1 - have;
		size_t take = (size_t)n < room ? (size_t)n : room;

		memcpy(text + have, buffer, take);
		have += take;
		text[have] = '\0';
	}
}

static void limit_the_process(void)
{
	struct rlimit none = {0, 0};

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &none);
	/* What the caller blocks or ignores is none of the case's business. */
	sigset_t empty;
	sigemptyset(&empty);
	sigprocmask(SIG_SETMASK, &empty, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGINT, SIG_DFL);
}

/* The emulator's words; its own malloc must not be replaced, so it sets the variable for its guest. */
static size_t emulator_words(const struct request *request, char **argv, char *preload, size_t size)
{
	char *copy = strdup(request->emulator);
	size_t n = 0;

	for (char *word = strtok(copy, " "); word && n + 12 < MAX_WORDS; word = strtok(NULL, " "))
		argv[n++] = word;
	if (*request->library &&
	    (size_t)snprintf(preload, size, "LD_PRELOAD=%s", request->library) < size) {
		argv[n++] = strdup("-E");
		argv[n++] = preload;
	}
	return n;
}

static _Noreturn void become_the_case(const struct request *request, const char *name)
{
	const struct conform_options *o = &request->options;
	char self[4096], preload[4096], effort[24], seconds[24], seed[24];
	char *argv[MAX_WORDS] = {NULL};
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	size_t n = 0;

	if (length < 0)
		_exit(CASE_NOT_STARTED);
	self[length] = '\0';
	if (request->emulator)
		n = emulator_words(request, argv, preload, sizeof(preload));
	else if (*request->library)
		setenv("LD_PRELOAD", request->library, 1);
	/* A lazy binding inside a handler would be the loader's affair and not malloc's. */
	setenv("LD_BIND_NOW", "1", 1);
	snprintf(effort, sizeof(effort), "%u", o->effort);
	snprintf(seconds, sizeof(seconds), "%u", o->seconds);
	snprintf(seed, sizeof(seed), "%llu", (unsigned long long)o->seed);
	const char *words[] = {self,
			       CASE_SUBCOMMAND,
			       request->library,
			       name,
			       effort,
			       seconds,
			       seed,
			       o->tracer ? "ptrace" : "any"};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		argv[n++] = strdup(words[i]);
	execvp(argv[0], argv);
	_exit(CASE_NOT_STARTED);
}

static void make_pipe(int fds[2])
{
	if (pipe2(fds, O_CLOEXEC) != 0)
		die("uslub: pipe");
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	/* Out of the way of the numbers that the case's process will give them. */
	for (int i = 0; i < 2; i++) {
		int high = fcntl(fds[i], F_DUPFD_CLOEXEC, 10);

		if (high < 0)
			die("uslub: fcntl");
		close(fds[i]);
		fds[i] = high;
	}
}

static void start(const struct request *request, struct run *run, const char *name)
{
	int report[2], output[2];

	make_pipe(report);
	make_pipe(output);
	fflush(NULL);
	run->start = now();
	run->pid = fork();
	if (run->pid < 0)
		die("uslub: fork");
	if (run->pid == 0) {
		limit_the_process();
		dup2(output[1], STDOUT_FILENO);
		dup2(output[1], STDERR_FILENO);
		dup2(report[1], CASE_REPORT_FD);
		become_the_case(request, name);
	}
	setpgid(run->pid, run->pid);
	close(report[1]);
	close(output[1]);
	run->report_fd = report[0];
	run->output_fd = output[0];
}

static void judge(struct run *run, int status)
{
	struct result *r = &run->result;
	static const struct {
		int status;
		enum word word;
	} words[] = {
		{CONFORM_PASS, WORD_PASS},
		{CONFORM_CORRUPT, WORD_CORRUPT},
		{CONFORM_UNABLE, WORD_UNABLE},
		{CONFORM_ABSENT, WORD_ABSENT},
	};

	r->word = WORD_FAIL;
	if (run->timed_out) {
		r->word = WORD_HANG;
	} else if (WIFSIGNALED(status)) {
		r->word = WORD_CRASH;
		r->signal = WTERMSIG(status);
	} else {
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			if (WEXITSTATUS(status) == words[i].status)
				r->word = words[i].word;
		}
	}
}

static bool hangs(struct run *run)
{
	double t = now(), used;

	if (t - run->start < run->limit || t - run->looked < LOOK_EVERY)
		return false;
	used = usage_of_group(run->pid) - run->usage;
	run->usage += used;
	if (run->looked == 0) {
		run->looked = t;
		return run->usage >= SPIN * run->limit;
	}
	run->looked = t;
	return used < LOOK_EVERY / 100 || run->usage >= SPIN * run->limit ||
	       t - run->start > PATIENCE * run->limit;
}

/* True once the process has ended; all that it left behind is gone then. */
static bool collect(struct run *run, int *status)
{
	pid_t ended;

	drain(run->report_fd, run->result.notes, sizeof(run->result.notes));
	drain(run->output_fd, run->result.output, sizeof(run->result.output));
	if (!run->timed_out && hangs(run)) {
		run->timed_out = true;
		kill(-run->pid, SIGKILL);
	}
	ended = waitpid(run->pid, status, WNOHANG);
	if (ended == 0 || (ended < 0 && errno == EINTR))
		return false;
	kill(-run->pid, SIGKILL);
	drain(run->report_fd, run->result.notes, sizeof(run->result.notes));
	drain(run->output_fd, run->result.output, sizeof(run->result.output));
	close(run->report_fd);
	close(run->output_fd);
	run->result.seconds = now() - run->start;
	judge(run, *status);
	run->pid = 0;
	return true;
}

static void wait_for_news(const struct run *runs, unsigned int jobs)
{
	struct pollfd fds[2 * MAX_JOBS];
	nfds_t n = 0;

	for (unsigned int i = 0; i < jobs; i++) {
		if (runs[i].pid == 0)
			continue;
		fds[n++] = (struct pollfd){.fd = runs[i].report_fd, .events = POLLIN};
		fds[n++] = (struct pollfd){.fd = runs[i].output_fd, .events = POLLIN};
	}
	/* A pipe that has been closed at the other end would be news for ever. */
	if (poll(fds, n, 10) > 0)
		usleep(2000);
}

bool runner_find_malloc(struct request *request)
{
	struct run run = {.limit = 30.0 * request->patience};
	int status;

	start(request, &run, "-");
	while (!collect(&run, &status))
		wait_for_news(&run, 1);
	if (!run.timed_out && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		/* The path is the last line: an emulator's loader may have complained before. */
		char *end = run.result.output + strcspn(run.result.output, "\n");

		*end = '\0';
		snprintf(request->malloc_path, sizeof(request->malloc_path), "%s",
			 run.result.output);
		return true;
	}
	fprintf(stderr, "uslub conform: %s",
		*run.result.output ? run.result.output
				   : "the program does not start with the "
				     "library preloaded\n");
	return false;
}

static void begin(const struct request *request, struct run *run, const struct conform_case *c)
{
	memset(run, 0, sizeof(*run));
	run->result.c = c;
	run->limit = ((double)c->seconds * request->options.effort + request->options.seconds) *
		     request->patience;
	start(request, run, c->name);
}

void runner_run(const struct request *request, const struct conform_case *const *cases, size_t n,
		void (*done)(const struct result *result, void *arg), void *arg)
{
	struct run *runs = calloc(MAX_JOBS, sizeof(*runs));
	unsigned int jobs = request->jobs < MAX_JOBS ? request->jobs : MAX_JOBS;
	size_t begun = 0, ended = 0;
	int status;

	if (!runs)
		die("uslub");
	while (ended < n) {
		for (unsigned int i = 0; i < jobs; i++) {
			if (runs[i].pid == 0 && begun < n)
				begin(request, &runs[i], cases[begun++]);
		}
		wait_for_news(runs, jobs);
		for (unsigned int i = 0; i < jobs; i++) {
			if (runs[i].pid != 0 && collect(&runs[i], &status)) {
				done(&runs[i].result, arg);
				ended++;
			}
		}
	}
	free(runs);
}
