/*
 * Stepping by a tracer: the tracer, which is the parent of the case's process. Layer: tools. Called by
 * step_ptrace.c.
 *
 * For each thread it keeps how many steps were begun in one another (`begun`), and how many handlers of
 * ours run (`inside`). While begun > inside the thread is single-stepped, and gets the signal at each stop
 * outside the suite's own program; else it runs, in a handler or outside any step. A handler that is done
 * is stepped back to where it interrupted, so that the next stop is that of the interrupted instruction.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conform.h"
#include "step_ptrace.h"

#if STEP_TRACER

enum { MAX_THREADS = 256, MAX_DEPTH = 8 };

struct place {
	uintptr_t pc, sp;
};

struct traced {
	pid_t tid; /* 0: this slot is free */
	unsigned int begun, inside;
	bool returning;		       /* from the innermost handler */
	bool sent;		       /* the signal, at the last stop */
	struct place from;	       /* where it was sent */
	struct place back[MAX_DEPTH];  /* where each handler interrupted */
	bool end_when_back[MAX_DEPTH]; /* its step ends with it */
};

static struct traced threads[MAX_THREADS];
static uintptr_t handler;

static struct traced *slot_of(pid_t tid)
{
	for (size_t i = 0; i < MAX_THREADS; i++) {
		if (threads[i].tid == tid)
			return &threads[i];
	}
	return NULL;
}

/* A thread not met before; it isn't stepped. */
static struct traced *new_slot(pid_t tid)
{
	struct traced *t = slot_of(tid);

	if (t)
		return t;
	t = slot_of(0);
	if (t)
		*t = (struct traced){.tid = tid};
	else
		conform_end(CONFORM_UNABLE, "too many threads to trace:", MAX_THREADS);
	return t;
}

static bool get_registers(pid_t tid, step_registers *regs)
{
	struct iovec io = {regs, sizeof(*regs)};

	return ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &io) == 0;
}

static void set_registers(pid_t tid, step_registers *regs)
{
	struct iovec io = {regs, sizeof(*regs)};

	ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &io);
}

static bool is_stepped(const struct traced *t)
{
	return t->begun > t->inside || t->returning;
}

/* On, in the way that its state asks for. A thread that has been killed meanwhile is met at waitpid(). */
static void resume(struct traced *t, int number)
{
	ptrace(is_stepped(t) ? PTRACE_SINGLESTEP : PTRACE_CONT, t->tid, NULL,
	       (void *)(intptr_t)number);
}

/* What a breakpoint of step_say() asks for. */
static void obey(struct traced *t, step_registers *regs)
{
	if (STEP_BREAKPOINT_SIZE != 0) {
		STEP_SET_PC(regs, STEP_PC(regs) + STEP_BREAKPOINT_SIZE);
		set_registers(t->tid, regs);
	}
	t->sent = false;
	switch ((enum step_word)STEP_WORD(regs, 1)) {
	case STEP_BEGIN:
		handler = STEP_WORD(regs, 2);
		t->begun++;
		break;
	case STEP_END:
		if (t->begun > t->inside)
			t->begun--;
		else if (t->inside > 0)
			t->end_when_back[t->inside - 1] = true;
		break;
	case STEP_DONE:
		t->returning = t->inside > 0;
		break;
	case STEP_ABANDON:
		t->begun = t->inside = 0;
		t->returning = false;
	}
}

static void enter_handler(struct traced *t)
{
	if (t->inside == MAX_DEPTH)
		conform_end(CONFORM_UNABLE, "handlers are nested too deep:", MAX_DEPTH);
	t->back[t->inside] = t->from;
	t->end_when_back[t->inside] = false;
	t->inside++;
	t->sent = false;
}

/* Back at the instruction that was interrupted, which has had its signal. */
static void leave_handler(struct traced *t)
{
	t->returning = false;
	t->inside--;
	if (t->end_when_back[t->inside])
		t->begun--;
}

/* Behind one instruction, or at the first one of a handler. Returns the signal to send. */
static int stepped(struct traced *t, const step_registers *regs)
{
	struct place here = {STEP_PC(regs), STEP_SP(regs)};

	if (t->returning) {
		if (here.pc == t->back[t->inside - 1].pc && here.sp == t->back[t->inside - 1].sp)
			leave_handler(t);
		return 0;
	}
	if (t->begun <= t->inside)
		return 0;
	if (t->sent && here.pc == handler) {
		enter_handler(t);
		return 0;
	}
	t->sent = false;
	if (step_is_ours(here.pc))
		return 0;
	t->sent = true;
	t->from = here;
	return STEP_SIGNAL;
}

static int at_trap(struct traced *t)
{
	siginfo_t info = {0};
	step_registers regs = {0};

	if (ptrace(PTRACE_GETSIGINFO, t->tid, NULL, &info) != 0 || !get_registers(t->tid, &regs))
		return 0;
	if (info.si_code == STEP_BREAKPOINT_CODE && STEP_WORD(&regs, 0) == STEP_MAGIC) {
		obey(t, &regs);
		return 0;
	}
	/* Of the step, or the kernel's notice of a handler that begins: no process sent it. */
	if ((info.si_code > 0 && info.si_code != STEP_BREAKPOINT_CODE) && is_stepped(t))
		return stepped(t, &regs);
	return SIGTRAP;
}

/* It was blocked when it was sent, and is delivered only now. */
static int at_late_signal(struct traced *t)
{
	step_registers regs = {0};

	if (t->begun > t->inside && !t->returning && get_registers(t->tid, &regs)) {
		t->sent = true;
		t->from = (struct place){STEP_PC(&regs), STEP_SP(&regs)};
		return STEP_SIGNAL;
	}
	return 0;
}

/* A forked child goes on as its parent was; a new thread isn't stepped. */
static void at_birth(const struct traced *parent, int event)
{
	unsigned long message = 0;
	struct traced *child;
	pid_t tid;

	if (ptrace(PTRACE_GETEVENTMSG, parent->tid, NULL, &message) != 0)
		return;
	tid = (pid_t)message;
	child = new_slot(tid);
	if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK) {
		*child = *parent;
		child->tid = tid;
		child->sent = false;
	}
}

static void at_stop(pid_t tid, int status)
{
	int event = status >> 16, number = WSTOPSIG(status);
	struct traced *t = new_slot(tid);

	if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK ||
	    event == PTRACE_EVENT_CLONE) {
		at_birth(t, event);
		number = 0;
	} else if (event != 0) {
		number = 0;
	} else if (number == SIGTRAP) {
		number = at_trap(t);
	} else if (number == STEP_SIGNAL) {
		number = at_late_signal(t);
	}
	resume(t, number);
}

static _Noreturn void end_as(int status)
{
	struct rlimit none = {0, 0};

	if (WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	setrlimit(RLIMIT_CORE, &none);
	signal(WTERMSIG(status), SIG_DFL);
	raise(WTERMSIG(status));
	_exit(CONFORM_UNABLE);
}

void step_trace(pid_t child, int ready)
{
	const long options = PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
			     PTRACE_O_TRACEVFORK;
	const char yes = 1;
	int status;
	pid_t tid;

	if (ptrace(PTRACE_SEIZE, child, NULL, (void *)options) == 0 && write(ready, &yes, 1) != 1)
		conform_end(CONFORM_UNABLE, "the tracer can't start:", (unsigned long)errno);
	close(ready);
	for (;;) {
		tid = waitpid(-1, &status, __WALL);
		if (tid < 0 && errno != EINTR)
			conform_end(CONFORM_UNABLE,
				    "the tracer lost its process:", (unsigned long)errno);
		if (tid <= 0)
			continue;
		if (WIFSTOPPED(status)) {
			at_stop(tid, status);
			continue;
		}
		if (tid == child)
			end_as(status);
		if (slot_of(tid))
			slot_of(tid)->tid = 0;
	}
}

#endif
