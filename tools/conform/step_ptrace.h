/*
 * What the stepped process says to its tracer: a breakpoint with three words in registers. Layer: tools.
 * Included by step_ptrace.c and step_tracer.c.
 */
#ifndef USLUB_CONFORM_STEP_PTRACE_H
#define USLUB_CONFORM_STEP_PTRACE_H

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "step_engine.h"

#define STEP_MAGIC 0x7573746570u

enum step_word {
	STEP_BEGIN,   /* step this thread from here on; with the handler's address */
	STEP_END,     /* not any more; inside a handler: once that has returned */
	STEP_DONE,    /* the handler is about to return */
	STEP_ABANDON, /* no handler will return, and nothing is stepped */
};

#if defined(__x86_64__)
#define STEP_TRACER 1
typedef struct user_regs_struct step_registers;
#define STEP_PC(r) ((uintptr_t)(r)->rip)
#define STEP_SP(r) ((uintptr_t)(r)->rsp)
#define STEP_WORD(r, n) ((uintptr_t)((n) == 0 ? (r)->rdi : (n) == 1 ? (r)->rsi : (r)->rdx))
#define STEP_CONTEXT_PC(context) ((uintptr_t)(context)->uc_mcontext.gregs[REG_RIP])
#define STEP_CONTEXT_SP(context) ((uintptr_t)(context)->uc_mcontext.gregs[REG_RSP])
/* The stop is behind the breakpoint already. */
#define STEP_BREAKPOINT_SIZE 0u
#define STEP_BREAKPOINT_CODE SI_KERNEL
#define STEP_SET_PC(r, pc) ((r)->rip = (pc))

static inline void step_say(enum step_word word, uintptr_t argument)
{
	__asm__ volatile("int3" ::"D"((uintptr_t)STEP_MAGIC), "S"((uintptr_t)word), "d"(argument)
			 : "memory");
}

#elif defined(__aarch64__)
#define STEP_TRACER 1
typedef struct user_regs_struct step_registers;
#define STEP_PC(r) ((uintptr_t)(r)->pc)
#define STEP_SP(r) ((uintptr_t)(r)->sp)
#define STEP_WORD(r, n) ((uintptr_t)(r)->regs[n])
#define STEP_CONTEXT_PC(context) ((uintptr_t)(context)->uc_mcontext.pc)
#define STEP_CONTEXT_SP(context) ((uintptr_t)(context)->uc_mcontext.sp)
#define STEP_BREAKPOINT_SIZE 4u
#define STEP_BREAKPOINT_CODE TRAP_BRKPT
#define STEP_SET_PC(r, to) ((r)->pc = (to))

static inline void step_say(enum step_word word, uintptr_t argument)
{
	register uintptr_t x0 __asm__("x0") = STEP_MAGIC;
	register uintptr_t x1 __asm__("x1") = word;
	register uintptr_t x2 __asm__("x2") = argument;

	__asm__ volatile("brk #0" ::"r"(x0), "r"(x1), "r"(x2) : "memory");
}

#else
#define STEP_TRACER 0
#endif

/* step_tracer.c: attaches to the child, closes `ready`, traces it to its end, and ends as it does. */
_Noreturn void step_trace(pid_t child, int ready);

#endif
