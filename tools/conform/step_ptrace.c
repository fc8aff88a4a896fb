/*
 * Stepping by a tracer: the side of the process that is stepped. Layer: tools. Called by step.c and, to
 * start it, by case.c.
 *
 * The tracer (step_tracer.c) steps the thread by PTRACE_SINGLESTEP and sends STEP_SIGNAL at each
 * instruction, which the kernel delivers as it would any signal, at once or when it is unblocked.
 */
#include <errno.h>
#include <sys/prctl.h>
#include <ucontext.h>
#include <unistd.h>

#include "conform.h"
#include "step_ptrace.h"

#if STEP_TRACER

static bool is_traced;

void step_ptrace_handler(int number, siginfo_t *info, void *argument)
{
	const ucontext_t *context = argument;
	int saved = errno;
	struct step *step = step_enter();

	(void)number;
	(void)info;
	if (step) {
		step_instruction(step, STEP_CONTEXT_PC(context), STEP_CONTEXT_SP(context), false);
		if (step->leave)
			step_say(STEP_END, 0);
		step_return(step);
	}
	errno = saved;
	step_say(STEP_DONE, 0);
}

void step_ptrace_begin(void)
{
	if (!is_traced)
		conform_end(CONFORM_UNABLE, "no process can be traced here", 0);
	step_say(STEP_BEGIN, (uintptr_t)step_ptrace_handler);
}

void step_ptrace_end(void)
{
	step_say(STEP_END, 0);
}

void step_ptrace_abandon(void)
{
	step_say(STEP_ABANDON, 0);
}

/* The child waits for its tracer: a byte where it is traced. Cases that don't step go on without. */
void step_ptrace_start(void)
{
	int ready[2];
	char byte = 0;
	pid_t child;

	if (pipe(ready) != 0)
		conform_end(CONFORM_UNABLE, "no pipe for the tracer:", (unsigned long)errno);
	child = fork();
	if (child < 0)
		conform_end(CONFORM_UNABLE, "no process for the tracer:", (unsigned long)errno);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ready[1]);
		is_traced = read(ready[0], &byte, 1) == 1;
		close(ready[0]);
		step_use_tracer();
		return;
	}
	close(ready[0]);
	step_trace(child, ready[1]);
}

#else

void step_ptrace_handler(int number, siginfo_t *info, void *argument)
{
	(void)number;
	(void)info;
	(void)argument;
}

static _Noreturn void nothing_steps(void)
{
	conform_end(CONFORM_UNABLE, "no way to step an instruction at a time on this machine", 0);
}

void step_ptrace_begin(void)
{
	nothing_steps();
}

void step_ptrace_end(void)
{
	nothing_steps();
}

void step_ptrace_abandon(void)
{
	nothing_steps();
}

void step_ptrace_start(void)
{
	step_use_tracer();
}

#endif
