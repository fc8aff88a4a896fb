/*
 * Stepped: a thread's first calls and its end, thread creation, fork and its child. Layer: tools. In the
 * table of step_cases.c.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "freeze.h"
#include "step_cases.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PAIRS 4u

static const size_t sizes[] = {40, 1000, 30000};

static void pairs(void *arg)
{
	struct scene *scene = arg;

	for (unsigned int i = 0; i < PAIRS; i++) {
		void *p = malloc(scene->size);

		scene->raw[i] = malloc(scene->size);
		free(p);
	}
	scene->nr_held = PAIRS;
}

static struct step thread_step;

static void *first_calls(void *arg)
{
	(void)arg;
	step_call(&thread_step);
	return NULL;
}

/* The destructor of a thread's own data: allocates, whether before or after the allocator's own. */
static pthread_key_t key;
static _Thread_local unsigned int rounds_left;

static void destructor(void *p)
{
	free(p);
	if (rounds_left-- > 0)
		pthread_setspecific(key, malloc(100));
}

/* From here to the end of the thread. */
static void *step_to_the_end(void *arg)
{
	free(malloc(64));
	rounds_left = 3;
	pthread_setspecific(key, malloc(100));
	step_begin(&thread_step);
	return arg;
}

/* One thread, of which `body` steps something, with each action and size. */
static void run_threads(const struct conform_options *options, void *(*body)(void *), bool is_long)
{
	const struct scene_call call = {.is_long = is_long};
	const unsigned int n = scene_actions(&call);
	struct scene *scene = scene_new(options, 0);

	for (unsigned int i = 0; i < n || scene_has_time(scene); i++) {
		scene_set(scene, sizes[i / n % COUNT(sizes)], scene_action(&call, i));
		thread_step = (struct step){
			.call = pairs, .arg = scene, .hook = scene_hook, .hook_arg = scene};
		pthread_join(freeze_thread(body, scene), NULL);
		scene->instructions += thread_step.instructions;
		scene->hooks += thread_step.hooks;
		scene_adopt(scene, BY_MALLOC);
		scene_free_held(scene);
		scene_clear(scene);
	}
	scene_note(scene);
}

void step_thread_first(const struct conform_options *options)
{
	run_threads(options, first_calls, false);
}

void step_thread_exit(const struct conform_options *options)
{
	if (pthread_key_create(&key, destructor) != 0)
		conform_end(CONFORM_UNABLE, "pthread_key_create fails", 0);
	run_threads(options, step_to_the_end, true);
}

static void *allocate_a_little(void *arg)
{
	free(malloc(300));
	return arg;
}

static void create(void *arg)
{
	pthread_t thread = freeze_thread(allocate_a_little, arg);

	pthread_join(thread, NULL);
}

void step_thread_create(const struct conform_options *options)
{
	static const struct scene_call call = {.call = create, .sets_errno = true};

	scene_run(scene_new(options, 0), &call, sizes, COUNT(sizes));
}

static pid_t child;

static void *sleep_on(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void call_fork(void *arg)
{
	(void)arg;
	child = fork();
}

/* In the child all that the parent had is valid, and it makes and frees as it likes. */
static void use_the_child(struct scene *scene)
{
	if (child < 0)
		conform_end(CONFORM_UNABLE, "fork fails:", (unsigned long)errno);
	if (child == 0) {
		freeze_in_child();
		scene_check(scene);
		scene_hold(scene, 100);
		scene_free_held(scene);
		scene_clear(scene);
		_exit(CONFORM_PASS);
	}
	freeze_reap(child);
}

void step_fork(const struct conform_options *options)
{
	static const struct scene_call call = {
		.call = call_fork, .after = use_the_child, .sets_errno = true};

	/* With a second thread fork() takes the C library's locks. */
	freeze_thread(sleep_on, NULL);
	scene_run(scene_new(options, 0), &call, sizes, COUNT(sizes));
}

static void steps_of_the_child(struct scene *scene, size_t size, enum scene_action action)
{
	static const struct scene_call call = {.call = pairs};

	child = fork();
	if (child < 0)
		conform_end(CONFORM_UNABLE, "fork fails:", (unsigned long)errno);
	if (child == 0) {
		freeze_in_child();
		scene_step(scene, &call, size, action);
		scene_adopt(scene, BY_MALLOC);
		scene_free_held(scene);
		_exit(CONFORM_PASS);
	}
	freeze_reap(child);
}

void step_fork_child(const struct conform_options *options)
{
	struct scene *scene = scene_new(options, 0);
	unsigned int n = 0;

	freeze_thread(sleep_on, NULL);
	for (; n < NR_ACTIONS || scene_has_time(scene); n++)
		steps_of_the_child(scene, sizes[n / NR_ACTIONS % COUNT(sizes)],
				   (enum scene_action)(n % NR_ACTIONS));
	conform_note("children", n);
}
