/*
 * The C++ operators new and delete, in C under their mangled names (Itanium ABI, size_t is `m`). Layer:
 * preload. Called by programs.
 *
 * A failing new calls the new-handler until it succeeds or the handler throws, and throws bad_alloc where
 * there is none, by the C++ runtime that the program has; it is looked for only then. Exceptions pass
 * through these frames, so the file is compiled with unwind tables.
 */
#include "preload.h"

#include "core/kmalloc.h"
#include "core/report.h"

#include <dlfcn.h>
#include <stdlib.h>

struct nothrow;

/* C++ runtimes that may have been loaded without making their names global. */
static const char *const runtimes[] = { "libstdc++.so.6", "libc++.so.1", "libc++abi.so.1" };

static void *runtime_symbol(const char *name)
{
	void *symbol = dlsym(RTLD_NEXT, name);

	for (size_t i = 0; !symbol && i < sizeof(runtimes) / sizeof(runtimes[0]); i++) {
		void *handle = dlopen(runtimes[i], RTLD_LAZY | RTLD_NOLOAD);

		if (handle) {
			symbol = dlsym(handle, name);
			dlclose(handle);
		}
	}
	return symbol;
}

typedef void (*new_handler)(void);

static new_handler get_handler(void)
{
	new_handler (*get)(void);

	*(void **)&get = runtime_symbol("_ZSt15get_new_handlerv");
	return get ? get() : NULL;
}

static _Noreturn void throw_bad_alloc(void)
{
	void (*throw_it)(void);

	*(void **)&throw_it = runtime_symbol("_ZSt17__throw_bad_allocv");
	if (!throw_it)
		*(void **)&throw_it = runtime_symbol("_ZNSt3__117__throw_bad_allocEv");
	if (throw_it)
		throw_it();
	report_bug("new", "out of memory, and no C++ runtime to throw bad_alloc; caller", NULL);
	abort();
}

static inline void *allocate(size_t size, size_t align)
{
	return align <= MIN_ALIGN ? kmalloc(size) : kmalloc_aligned(size, align);
}

static noinline void *new_failed(size_t size, size_t align)
{
	void *p;

	do {
		new_handler handler = get_handler();

		if (!handler)
			throw_bad_alloc();
		handler();
		p = allocate(size, align);
	} while (!p);
	return p;
}

static inline void *new_or_throw(size_t size, size_t align)
{
	void *p = allocate(size, align);

	return likely(p) ? p : new_failed(size, align);
}

/*
 * With a new-handler, which may throw, the runtime's own operator of the same name is asked: it calls the
 * throwing one, ours, and catches what C cannot. Without one the answer is known.
 */
static noinline void *nothrow_failed(size_t size, const struct nothrow *tag, const char *name)
{
	void *(*next)(size_t, const struct nothrow *);

	if (!get_handler())
		return NULL;
	*(void **)&next = runtime_symbol(name);
	return next ? next(size, tag) : NULL;
}

static noinline void *nothrow_aligned_failed(size_t size, size_t align, const struct nothrow *tag,
					     const char *name)
{
	void *(*next)(size_t, size_t, const struct nothrow *);

	if (!get_handler())
		return NULL;
	*(void **)&next = runtime_symbol(name);
	return next ? next(size, align, tag) : NULL;
}

#define OPERATOR_NEW(name)                             \
	EXPORT void *name(size_t size);                \
	EXPORT void *name(size_t size)                 \
	{                                              \
		return new_or_throw(size, MIN_ALIGN);  \
	}
#define OPERATOR_NEW_ALIGNED(name)                     \
	EXPORT void *name(size_t size, size_t align);  \
	EXPORT void *name(size_t size, size_t align)   \
	{                                              \
		return new_or_throw(size, align);      \
	}
#define OPERATOR_NEW_NOTHROW(name)                                       \
	EXPORT void *name(size_t size, const struct nothrow *tag);       \
	EXPORT void *name(size_t size, const struct nothrow *tag)        \
	{                                                                \
		void *p = kmalloc(size);                                 \
                                                                         \
		return likely(p) ? p : nothrow_failed(size, tag, #name); \
	}
#define OPERATOR_NEW_ALIGNED_NOTHROW(name)                                                    \
	EXPORT void *name(size_t size, size_t align, const struct nothrow *tag);              \
	EXPORT void *name(size_t size, size_t align, const struct nothrow *tag)               \
	{                                                                                     \
		void *p = allocate(size, align);                                              \
                                                                                              \
		return likely(p) ? p : nothrow_aligned_failed(size, align, tag, #name);       \
	}
/* Size, alignment and tag are the caller's word, and not needed. */
#define UNUSED __attribute__((unused))
#define OPERATOR_DELETE(name, parameters) \
	EXPORT void name parameters;      \
	EXPORT void name parameters       \
	{                                 \
		kfree(p);                 \
	}

OPERATOR_NEW(_Znwm)
OPERATOR_NEW(_Znam)
OPERATOR_NEW_ALIGNED(_ZnwmSt11align_val_t)
OPERATOR_NEW_ALIGNED(_ZnamSt11align_val_t)
OPERATOR_NEW_NOTHROW(_ZnwmRKSt9nothrow_t)
OPERATOR_NEW_NOTHROW(_ZnamRKSt9nothrow_t)
OPERATOR_NEW_ALIGNED_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t)
OPERATOR_NEW_ALIGNED_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t)

OPERATOR_DELETE(_ZdlPv, (void *p))
OPERATOR_DELETE(_ZdaPv, (void *p))
OPERATOR_DELETE(_ZdlPvm, (void *p, size_t size UNUSED))
OPERATOR_DELETE(_ZdaPvm, (void *p, size_t size UNUSED))
OPERATOR_DELETE(_ZdlPvSt11align_val_t, (void *p, size_t align UNUSED))
OPERATOR_DELETE(_ZdaPvSt11align_val_t, (void *p, size_t align UNUSED))
OPERATOR_DELETE(_ZdlPvmSt11align_val_t, (void *p, size_t size UNUSED, size_t align UNUSED))
OPERATOR_DELETE(_ZdaPvmSt11align_val_t, (void *p, size_t size UNUSED, size_t align UNUSED))
OPERATOR_DELETE(_ZdlPvRKSt9nothrow_t, (void *p, const struct nothrow *tag UNUSED))
OPERATOR_DELETE(_ZdaPvRKSt9nothrow_t, (void *p, const struct nothrow *tag UNUSED))
OPERATOR_DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t,
		(void *p, size_t align UNUSED, const struct nothrow *tag UNUSED))
OPERATOR_DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t,
		(void *p, size_t align UNUSED, const struct nothrow *tag UNUSED))
