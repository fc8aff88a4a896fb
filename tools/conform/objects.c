/*
 * Objects that know who they are. Layer: tools. Called by every case, from handlers too: nothing here
 * locks, allocates for itself or uses stdio.
 *
 * Why two holders of one object are always noticed: each writes its own id at both ends, and checks both
 * before it lets go; so whoever wrote first finds the other's id, where both still hold it. A handler
 * therefore keeps some of what it makes until the call that it interrupted has returned: had that call
 * the same object in hand, unseen yet, its caller's ids would now stand in the handler's object.
 */
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "conform.h"

/* Larger objects are filled and checked at their ends, and by some words between: see stride(). */
#define FILLED_WHOLE ((size_t)2048)
#define LEAST_STRIDE ((size_t)512)
#define MOST_WORDS 32u
#define ALIGNED_TO ((size_t)64)
/* No call sets it. */
#define ERRNO_SENTINEL 4077
#define NEW_ALIGNED "_ZnwmSt11align_val_t"

typedef void *new_function(size_t size);
typedef void *new_aligned_function(size_t size, size_t align);
typedef void delete_function(void *p);
typedef void delete_aligned_function(void *p, size_t align);

static _Atomic uint64_t last_id;

/* The touching of many pages would take a handler longer than all else. */
static size_t stride(size_t size)
{
	size_t step = size / MOST_WORDS & ~(size_t)7;

	if (size <= FILLED_WHOLE)
		return 8;
	return step > LEAST_STRIDE ? step : LEAST_STRIDE;
}

/* Ids differ in every byte from one to the next, and none is small. */
static uint64_t new_id(void)
{
	uint64_t number = atomic_fetch_add_explicit(&last_id, 1, memory_order_relaxed) + 1;

	return number * 0x9e3779b97f4a7c15u;
}

static unsigned char pattern_byte(uint64_t id, size_t at)
{
	return (unsigned char)(id >> (8 * (at & 7)));
}

static uint64_t word_of(uint64_t id, size_t at)
{
	return id ^ (uint64_t)at;
}

/* The bytes from `from` up to `to`, which must be a multiple of eight where it isn't the end. */
static void fill_words(const struct conform_object *o, size_t from, size_t to, size_t step)
{
	size_t at;

	for (at = from; at + 8 <= to; at += step) {
		uint64_t word = word_of(o->id, at);

		memcpy(o->p + at, &word, 8);
	}
}

static void fill(const struct conform_object *o)
{
	if (o->size < 16) {
		for (size_t at = 0; at < o->size; at++)
			o->p[at] = pattern_byte(o->id, at);
		return;
	}
	fill_words(o, 8, o->size - 8, stride(o->size));
	memcpy(o->p, &o->id, 8);
	memcpy(o->p + o->size - 8, &o->id, 8);
}

static uint64_t word_at(const struct conform_object *o, size_t at)
{
	uint64_t word;

	memcpy(&word, o->p + at, 8);
	return word;
}

static _Noreturn void corrupt(const struct conform_object *o, const char *why)
{
	conform_end(CONFORM_CORRUPT, why, o->size);
}

/* The words between the ends of an object that has kept its first `size` bytes. */
static bool words_are_whole(const struct conform_object *o, size_t size)
{
	size_t step = stride(o->size);

	for (size_t at = 8; at + 8 <= o->size - 8 && at + 8 <= size; at += step) {
		if (word_at(o, at) != word_of(o->id, at))
			return false;
	}
	return true;
}

static void check_prefix(const struct conform_object *o, size_t size)
{
	if (o->size < 16) {
		for (size_t at = 0; at < o->size && at < size; at++) {
			if (o->p[at] != pattern_byte(o->id, at))
				corrupt(o, "a small object's content changed; its size is");
		}
		return;
	}
	if (size >= 8 && word_at(o, 0) != o->id)
		corrupt(o, "another id at the start of a live object; its size is");
	if (size >= o->size && word_at(o, o->size - 8) != o->id)
		corrupt(o, "another id at the end of a live object; its size is");
	if (!words_are_whole(o, size))
		corrupt(o, "the content of a live object changed; its size is");
}

void object_check(const struct conform_object *o)
{
	check_prefix(o, o->size);
}

static void *call_new(size_t size)
{
	new_function *function;
	void *symbol = conform_symbol("_Znwm");

	if (!symbol)
		return malloc(size);
	memcpy(&function, &symbol, sizeof(function));
	return function(size);
}

static void *call_new_aligned(size_t size)
{
	new_aligned_function *function;
	void *symbol = conform_symbol(NEW_ALIGNED);

	if (!symbol)
		return memalign(ALIGNED_TO, size);
	memcpy(&function, &symbol, sizeof(function));
	return function(size, ALIGNED_TO);
}

static void *call_realloc(size_t size)
{
	void *small = realloc(NULL, size / 2 + 1);
	void *p = small ? realloc(small, size) : NULL;

	if (!p)
		free(small);
	return p;
}

static void *call(enum conform_how how, size_t size)
{
	void *p = NULL;

	switch (how) {
	case BY_CALLOC:
		return calloc(1, size);
	case BY_REALLOC:
		return call_realloc(size);
	case BY_ALIGNED_ALLOC:
		return aligned_alloc(ALIGNED_TO, size);
	case BY_POSIX_MEMALIGN:
		return posix_memalign(&p, ALIGNED_TO, size) == 0 ? p : NULL;
	case BY_MEMALIGN:
		return memalign(ALIGNED_TO, size);
	case BY_NEW:
		return call_new(size);
	case BY_NEW_ALIGNED:
		return call_new_aligned(size);
	default:
		return malloc(size);
	}
}

static size_t alignment(enum conform_how how, size_t size)
{
	switch (how) {
	case BY_ALIGNED_ALLOC:
	case BY_POSIX_MEMALIGN:
	case BY_MEMALIGN:
	case BY_NEW_ALIGNED:
		return ALIGNED_TO;
	default:
		return size >= 16 ? 16 : 8;
	}
}

static void check_zero(const struct conform_object *o)
{
	size_t step = o->size <= FILLED_WHOLE ? 1 : stride(o->size);

	for (size_t at = 0; at < o->size; at += at < FILLED_WHOLE ? 1 : step) {
		if (o->p[at] != 0)
			corrupt(o, "calloc gave memory that isn't zero; its size is");
	}
}

static void check_errno(const char *why, size_t size)
{
	if (errno != ERRNO_SENTINEL)
		conform_end(CONFORM_FAIL, why, size);
}

void object_adopt(struct conform_object *o, enum conform_how how, void *p, size_t size)
{
	int saved = errno;

	o->p = p;
	o->size = size;
	o->how = how;
	o->id = new_id();
	if (!p)
		conform_end(CONFORM_FAIL, "NULL where there is memory; the size is", size);
	if (((uintptr_t)p & (alignment(how, size) - 1)) != 0)
		corrupt(o, "the alignment is wrong; the size is");
	errno = ERRNO_SENTINEL;
	if (malloc_usable_size(p) < size)
		corrupt(o, "malloc_usable_size() is below the size asked for, which is");
	check_errno("malloc_usable_size() changed errno; the size is", size);
	if (how == BY_CALLOC)
		check_zero(o);
	fill(o);
	errno = saved;
}

void object_make(struct conform_object *o, enum conform_how how, size_t size)
{
	int saved = errno;
	void *p;

	errno = ERRNO_SENTINEL;
	p = call(how, size);
	if (p)
		check_errno("a successful allocation changed errno; its size is", size);
	object_adopt(o, how, p, size);
	errno = saved;
}

void object_resize(struct conform_object *o, size_t size)
{
	size_t kept = size < o->size ? size : o->size;
	int saved = errno;
	unsigned char *p;

	object_check(o);
	errno = ERRNO_SENTINEL;
	p = realloc(o->p, size);
	if (!p)
		conform_end(CONFORM_FAIL, "realloc: NULL where there is memory; the size is", size);
	check_errno("a successful realloc changed errno; the size is", size);
	o->p = p;
	check_prefix(o, kept);
	o->size = size;
	o->how = BY_REALLOC;
	o->id = new_id();
	fill(o);
	errno = saved;
}

static void call_delete(void *p)
{
	delete_function *function;
	void *symbol = conform_symbol("_ZdlPv");

	if (!symbol) {
		free(p);
		return;
	}
	memcpy(&function, &symbol, sizeof(function));
	function(p);
}

static void call_delete_aligned(void *p)
{
	delete_aligned_function *function;
	void *symbol = conform_symbol("_ZdlPvSt11align_val_t");

	if (!symbol) {
		free(p);
		return;
	}
	memcpy(&function, &symbol, sizeof(function));
	function(p, ALIGNED_TO);
}

void *object_disown(struct conform_object *o)
{
	void *p = o->p;

	object_check(o);
	o->id = 0;
	fill(o);
	o->p = NULL;
	return p;
}

void object_free(struct conform_object *o)
{
	int saved = errno;
	void *p = object_disown(o);

	errno = ERRNO_SENTINEL;
	if (o->how == BY_NEW)
		call_delete(p);
	else if (o->how == BY_NEW_ALIGNED)
		call_delete_aligned(p);
	else
		free(p);
	check_errno("a free changed errno; the size was", o->size);
	errno = saved;
}
