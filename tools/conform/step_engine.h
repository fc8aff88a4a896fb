/*
 * Inside the stepping engine. Layer: tools. Included by step*.c of the engine and by case.c.
 */
#ifndef USLUB_CONFORM_STEP_ENGINE_H
#define USLUB_CONFORM_STEP_ENGINE_H

#include <signal.h>

#include "step.h"

/* What the tracer sends at each instruction. */
#define STEP_SIGNAL SIGUSR2

#ifdef __x86_64__
#define STEP_HAS_TRAP_FLAG true
#else
#define STEP_HAS_TRAP_FLAG false
#endif

bool step_is_ours(uintptr_t pc);

/*
 * For a handler: the step that it runs for, or NULL in a thread that isn't stepped; the hook, where it is
 * due, at that place (not where the signal would be blocked there); and the end of the handler.
 */
struct step *step_enter(void);
void step_instruction(struct step *step, uintptr_t pc, uintptr_t sp, bool blocked);
void step_return(struct step *step);

/* step_trap.c */
void step_trap_handler(int signal, siginfo_t *info, void *context);
void step_trap_begin(void);
void step_trap_end(void);

/* step_ptrace.c; step_ptrace_start() returns in a traced child, where the case is to run, and the tracer
 * ends as that does. */
void step_ptrace_start(void);
void step_ptrace_handler(int signal, siginfo_t *info, void *context);
void step_ptrace_begin(void);
void step_ptrace_end(void);
void step_ptrace_abandon(void);
/* From here on the tracer steps. */
void step_use_tracer(void);

#endif
