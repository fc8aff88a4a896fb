/*
 * The stepping engine: what its two ways of stepping share. Layer: tools. Called by the cases that step.
 *
 * On x86-64 the trap flag does it (step_trap.c), elsewhere a tracer (step_ptrace.c); `uslub conform
 * --stepper ptrace` takes the tracer there too. Either calls step_instruction() from a signal handler at
 * each instruction outside the suite's own program.
 *
 * Long loops: their instructions get the hook in the first rounds, and then in some, see is_worn().
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conform.h"
#include "step_engine.h"

#define ALTSTACK_SIZE ((size_t)1 << 20)
#define PAGE ((size_t)65536)
/* How many different instructions are told apart, and how often each gets its hook in a stepped call. */
#define LOOP_SLOTS 8192u
#define LOOP_ROUNDS 64u
#define LOOP_EVERY 256u

extern const char __executable_start, etext;

struct loop_slot {
	uintptr_t pc;
	unsigned long call; /* the stepped call that it counts for */
	unsigned int rounds;
};

static _Thread_local struct step *current;     /* what is stepped now */
static _Thread_local struct step *interrupted; /* what a hook runs for */
/* Two deep; one thread steps at a time. */
static struct loop_slot loops[2][LOOP_SLOTS];
static _Atomic unsigned long calls;
static bool by_tracer;

/* An instruction that has been met so often that this round gets no hook. */
static bool is_worn(const struct step *step, uintptr_t pc)
{
	struct loop_slot *slot = &loops[step->outer ? 1 : 0][(pc ^ (pc >> 13)) % LOOP_SLOTS];

	if (slot->pc != pc || slot->call != step->number)
		*slot = (struct loop_slot){.pc = pc, .call = step->number};
	slot->rounds++;
	return slot->rounds > LOOP_ROUNDS && slot->rounds % LOOP_EVERY != 0;
}

bool step_is_ours(uintptr_t pc)
{
	return pc >= (uintptr_t)&__executable_start && pc < (uintptr_t)&etext;
}

struct step *step_enter(void)
{
	struct step *step = current;

	if (!step)
		return NULL;
	/* What the hook does isn't stepped, unless it steps. */
	current = NULL;
	interrupted = step;
	return step;
}

void step_instruction(struct step *step, uintptr_t pc, uintptr_t sp, bool blocked)
{
	if (step_is_ours(pc))
		return;
	step->instructions++;
	if (!step->hook || blocked)
		return;
	if (step->every > 1 && step->instructions % step->every != 0)
		return;
	if (is_worn(step, pc))
		return;
	step->pc = pc;
	step->sp = sp;
	step->hooks++;
	step->hook(step->hook_arg, step->instructions);
}

void step_return(struct step *step)
{
	interrupted = step->outer;
	current = step;
}

/* Called before the first allocation of interest: mmap alone, never malloc. */
static void set_stack(enum step_stack wanted)
{
	static unsigned char *area;
	stack_t stack = {0};
	size_t size = ALTSTACK_SIZE;

	if (wanted == STEP_ON_STACK)
		return;
	if (!area) {
		area = mmap(NULL, PAGE + ALTSTACK_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (area == MAP_FAILED || mprotect(area, PAGE, PROT_NONE) != 0)
			conform_end(CONFORM_UNABLE, "no memory for an alternate stack:", size);
	}
	if (wanted == STEP_ON_SMALL_STACK)
		size = (size_t)sysconf(_SC_MINSIGSTKSZ) + STEP_SMALL_STACK;
	/* It grows down to the guard page. */
	stack.ss_sp = area + PAGE;
	stack.ss_size = size;
	if (sigaltstack(&stack, NULL) != 0)
		conform_end(CONFORM_UNABLE, "sigaltstack() refuses a size of", size);
}

static void install(int number, void (*handler)(int, siginfo_t *, void *), const struct step *step)
{
	struct sigaction action = {.sa_sigaction = handler};

	action.sa_flags = SA_SIGINFO | SA_NODEFER | (step->stack == STEP_ON_STACK ? 0 : SA_ONSTACK);
	sigaction(number, &action, NULL);
}

void step_use_tracer(void)
{
	by_tracer = true;
}

void step_begin(struct step *step)
{
	step->instructions = 0;
	step->hooks = 0;
	step->leave = false;
	step->outer = interrupted;
	step->number = atomic_fetch_add(&calls, 1) + 1;
	if (!step->outer)
		set_stack(step->stack);
	if (by_tracer)
		install(STEP_SIGNAL, step_ptrace_handler, step);
	else
		install(SIGTRAP, step_trap_handler, step);
	current = step;
	if (by_tracer)
		step_ptrace_begin();
	else
		step_trap_begin();
}

void step_end(struct step *step)
{
	if (by_tracer)
		step_ptrace_end();
	else
		step_trap_end();
	interrupted = step->outer;
	current = NULL;
}

void step_abandon(void)
{
	if (by_tracer)
		step_ptrace_abandon();
	current = NULL;
	interrupted = NULL;
}

void step_call(struct step *step)
{
	step_begin(step);
	step->call(step->arg);
	step_end(step);
}
