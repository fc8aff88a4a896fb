/*
 * Stepping by the trap flag of x86-64 and SIGTRAP. Layer: tools. Called by step.c.
 *
 * With the trap flag set the processor raises SIGTRAP behind every instruction. The handler runs the
 * hook there and returns with the flag still set; inside a handler it is clear. Three things need help:
 *
 * A system call. The kernel comes back from one with the flag set again, but traps only behind the next
 * instruction. So that the place right behind it is met too, the handler makes the calls that malloc is
 * known to make (memory, time, identity) itself and steps over the instruction.
 *
 * Signals blocked. SIGTRAP of the trap flag can't be blocked: the kernel would kill the process. So the
 * handler takes rt_sigprocmask over: SIGTRAP is never really blocked, a flag says whether it would be,
 * and while it would be the hook doesn't run, like the handler of any signal. Thus an allocator that
 * masks signals around its work is judged fairly.
 *
 * A string instruction traps at each round; the handler makes all but the last few by itself.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "conform.h"
#include "step_engine.h"

#ifdef __x86_64__

#define TRAP_FLAG 0x100
/* A string instruction's last rounds, which are stepped. */
#define STRING_ROUNDS 4u

static _Thread_local bool would_be_blocked;

static long raw_syscall(const greg_t *regs)
{
	register long r10 __asm__("r10") = regs[REG_R10];
	register long r8 __asm__("r8") = regs[REG_R8];
	register long r9 __asm__("r9") = regs[REG_R9];
	long result = regs[REG_RAX];

	__asm__ volatile("syscall"
			 : "+a"(result)
			 : "D"(regs[REG_RDI]), "S"(regs[REG_RSI]), "d"(regs[REG_RDX]), "r"(r10),
			   "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

/* The end of a thread gives its stack's pages back, where this handler is. */
static bool concerns_this_stack(const greg_t *regs)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	return here - (uintptr_t)regs[REG_RDI] < (uintptr_t)regs[REG_RSI];
}

static bool may_be_made_here(const greg_t *regs)
{
	switch (regs[REG_RAX]) {
	case SYS_munmap:
	case SYS_mremap:
	case SYS_mprotect:
	case SYS_madvise:
		return !concerns_this_stack(regs);
	case SYS_mmap:
	case SYS_brk:
	case SYS_getpid:
	case SYS_gettid:
	case SYS_getcpu:
	case SYS_clock_gettime:
	case SYS_sched_getaffinity:
	case SYS_sched_yield:
	case SYS_prctl:
	case SYS_membarrier:
	case SYS_read:
	case SYS_openat:
	case SYS_close:
	case SYS_getrandom:
		return true;
	default:
		return false;
	}
}

static uint64_t first_word(const sigset_t *set)
{
	uint64_t word;

	memcpy(&word, set, sizeof(word));
	return word;
}

/* rt_sigprocmask(how, set, old, 8) on the mask that the handler will return to. */
static long change_mask(ucontext_t *context)
{
	const greg_t *regs = context->uc_mcontext.gregs;
	const uint64_t trap = (uint64_t)1 << (SIGTRAP - 1);
	uint64_t mask = first_word(&context->uc_sigmask) | (would_be_blocked ? trap : 0);
	uint64_t old = mask, set;

	if (regs[REG_RSI] != 0) {
		memcpy(&set, (const void *)regs[REG_RSI], sizeof(set));
		if (regs[REG_RDI] == SIG_BLOCK)
			mask |= set;
		else if (regs[REG_RDI] == SIG_UNBLOCK)
			mask &= ~set;
		else if (regs[REG_RDI] == SIG_SETMASK)
			mask = set;
		else
			return -EINVAL;
	}
	if (regs[REG_RDX] != 0)
		memcpy((void *)regs[REG_RDX], &old, sizeof(old));
	would_be_blocked = (mask & trap) != 0;
	mask &= ~trap;
	memcpy(&context->uc_sigmask, &mask, sizeof(mask));
	return 0;
}

/* True where the instruction was a system call that has been made. */
static bool step_over_syscall(ucontext_t *context)
{
	greg_t *regs = context->uc_mcontext.gregs;
	const unsigned char *code = (const unsigned char *)regs[REG_RIP];

	if (code[0] != 0x0f || code[1] != 0x05)
		return false;
	if (regs[REG_RAX] == SYS_rt_sigprocmask)
		regs[REG_RAX] = change_mask(context);
	else if (may_be_made_here(regs))
		regs[REG_RAX] = raw_syscall(regs);
	else
		return false;
	regs[REG_RIP] += 2;
	regs[REG_RCX] = regs[REG_RIP];
	regs[REG_R11] = regs[REG_EFL];
	return true;
}

/* rep movs and rep stos, upwards: all rounds but the last few. */
static void shorten_string(greg_t *regs)
{
	const unsigned char *code = (const unsigned char *)regs[REG_RIP];
	size_t wide = code[1] == 0x48 ? 8 : 1;
	unsigned char operation = wide == 8 ? code[2] : code[1];
	size_t rounds = (size_t)regs[REG_RCX];
	bool store = operation == (wide == 8 ? 0xab : 0xaa);
	bool move = operation == (wide == 8 ? 0xa5 : 0xa4);

	if (code[0] != 0xf3 || !(store || move) || rounds <= STRING_ROUNDS)
		return;
	for (rounds -= STRING_ROUNDS; rounds > 0; rounds--, regs[REG_RCX]--) {
		const void *from = store ? (const void *)&regs[REG_RAX]
					 : (const void *)regs[REG_RSI];

		memcpy((void *)regs[REG_RDI], from, wide);
		regs[REG_RDI] += (greg_t)wide;
		regs[REG_RSI] += move ? (greg_t)wide : 0;
	}
}

void step_trap_handler(int signal, siginfo_t *info, void *argument)
{
	ucontext_t *context = argument;
	greg_t *regs = context->uc_mcontext.gregs;
	int saved = errno;
	struct step *step = step_enter();

	(void)signal;
	(void)info;
	/* A thread that was made while this one stepped. */
	if (!step) {
		regs[REG_EFL] &= ~TRAP_FLAG;
		return;
	}
	step_instruction(step, (uintptr_t)regs[REG_RIP], (uintptr_t)regs[REG_RSP],
			 would_be_blocked);
	shorten_string(regs);
	while (step_over_syscall(context))
		step_instruction(step, (uintptr_t)regs[REG_RIP], (uintptr_t)regs[REG_RSP],
				 would_be_blocked);
	if (step->leave)
		regs[REG_EFL] &= ~TRAP_FLAG;
	step_return(step);
	errno = saved;
}

/* Below the red zone: the compiler may keep something there. */
void step_trap_begin(void)
{
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
			 "pushfq\n\t"
			 "orq $0x100, (%%rsp)\n\t"
			 "popfq\n\t"
			 "lea 128(%%rsp), %%rsp" ::
				 : "memory", "cc");
}

void step_trap_end(void)
{
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
			 "pushfq\n\t"
			 "andq $~0x100, (%%rsp)\n\t"
			 "popfq\n\t"
			 "lea 128(%%rsp), %%rsp" ::
				 : "memory", "cc");
}

#else

void step_trap_handler(int signal, siginfo_t *info, void *argument)
{
	(void)signal;
	(void)info;
	(void)argument;
}

void step_trap_begin(void)
{
	conform_end(CONFORM_UNABLE, "no way to step an instruction at a time here", 0);
}

void step_trap_end(void)
{
}

#endif
