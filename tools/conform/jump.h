/*
 * What the jump cases share: the ways in which a handler never returns. Layer: tools. Included by jump*.c
 * and, in its C++ half, by jump_exceptions.cpp.
 */
#ifndef USLUB_CONFORM_JUMP_H
#define USLUB_CONFORM_JUMP_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* True: the call was left by leave(), called from a handler that had interrupted it. */
typedef bool jump_attempt(void (*call)(void *), void *arg);

struct jump_way {
	jump_attempt *attempt;
	void (*leave)(void); /* never returns; only within attempt(), on its thread */
};

jump_attempt jump_try;
void jump_throw(void);

#ifdef __cplusplus
}
#else

#include "conform.h"

extern const struct jump_way jump_by_siglongjmp, jump_by_exception;

/* The objects that every jump must leave whole, and the sizes that must work after it. */
void jump_keep_objects(void);
void jump_check_some(unsigned long jumps);
void jump_free_kept(void);

/* Has malloc(size) come to give the least usable size within a few dozen calls? Else the case fails. */
struct jump_class {
	size_t size;
	size_t least; /* the smallest malloc_usable_size() seen before any jump */
};
void jump_learn_class(struct jump_class *c, size_t size);
/* Called so many bytes deeper than the interrupted call's caller was. */
void jump_check_class(const struct jump_class *c);

/* Calls function(arg) so many bytes deeper in the stack. */
void jump_deeper(size_t bytes, void (*function)(void *), void *arg);

/* In jump_step.c, jump_random.c, jump_threads.c. */
void jump_at_each(const struct conform_options *options);
void jump_at_each_nested(const struct conform_options *options);
void jump_at_each_throwing(const struct conform_options *options);
void jump_at_random(const struct conform_options *options);
void jump_at_random_throwing(const struct conform_options *options);
void jump_by_exit(const struct conform_options *options);
void jump_by_cancel(const struct conform_options *options);

#endif
#endif
