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
#include <link.h>

struct nothrow;

/* A runtime that the program has, or the one that the caller's object was linked with. */
static void *runtime_symbol(const char *name, const void *caller)
{
	void *symbol = dlsym(RTLD_NEXT, name), *handle;
	struct link_map *map;
	Dl_info info;

	if (symbol || !dladdr1(caller, &info, (void **)&map, RTLD_DL_LINKMAP))
		return symbol;
	handle = dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD);
	if (handle) {
		symbol = dlsym(handle, name);
		dlclose(handle);
	}
	return symbol;
}

typedef void (*new_handler)(void);

static new_handler get_handler(const void *caller)
{
	new_handler (*get)(void);

	*(void **)&get = runtime_symbol("_ZSt15get_new_handlerv", caller);
	return get ? get() : NULL;
}

static _Noreturn void throw_bad_alloc(const void *caller)
{
	void (*throw_it)(void);

	*(void **)&throw_it = runtime_symbol("_ZSt17__throw_bad_allocv", caller);
	if (throw_it)
		throw_it();
	report_bug("new", "out of memory, and no C++ runtime to throw bad_alloc; called from",
		   caller);
	abort();
}

/* NULL for an alignment that is none, too: as libstdc++ has it, that is out of memory at once. */
static inline void *allocate(size_t size, size_t align)
{
	if (align <= MIN_ALIGN)
		return kmalloc(size);
	return is_power_of_two(align) ? kmalloc_aligned(size, align) : NULL;
}

static noinline void *new_failed(size_t size, size_t align, const void *caller)
{
	void *p;

	do {
		new_handler handler = get_handler(caller);

		if (!handler || !is_power_of_two(align))
			throw_bad_alloc(caller);
		handler();
		p = allocate(size, align);
	} while (!p);
	return p;
}

/*
 * With a new-handler, which may throw, the runtime's own operator of the same name is asked: it calls the
 * throwing one, ours, and catches what C cannot. Without one the answer is known.
 */
static noinline void *nothrow_failed(size_t size, const struct nothrow *tag, const char *name,
				     const void *caller)
{
	void *(*next)(size_t, const struct nothrow *);

	if (!get_handler(caller))
		return NULL;
	*(void **)&next = runtime_symbol(name, caller);
	return next ? next(size, tag) : NULL;
}

static noinline void *nothrow_aligned_failed(size_t size, size_t align, const struct nothrow *tag,
					     const char *name, const void *caller)
{
	void *(*next)(size_t, size_t, const struct nothrow *);

	if (!is_power_of_two(align) || !get_handler(caller))
		return NULL;
	*(void **)&next = runtime_symbol(name, caller);
	return next ? next(size, align, tag) : NULL;
}

#define CALLER __builtin_return_address(0)

#define OPERATOR_NEW(name)                                                  \
	EXPORT void *name(size_t size);                                     \
	EXPORT void *name(size_t size)                                      \
	{                                                                   \
		void *p = kmalloc(size);                                    \
                                                                            \
		return likely(p) ? p : new_failed(size, MIN_ALIGN, CALLER); \
	}
#define OPERATOR_NEW_ALIGNED(name)                                      \
	EXPORT void *name(size_t size, size_t align);                   \
	EXPORT void *name(size_t size, size_t align)                    \
	{                                                               \
		void *p = allocate(size, align);                        \
                                                                        \
		return likely(p) ? p : new_failed(size, align, CALLER); \
	}
#define OPERATOR_NEW_NOTHROW(name)                                               \
	EXPORT void *name(size_t size, const struct nothrow *tag);               \
	EXPORT void *name(size_t size, const struct nothrow *tag)                \
	{                                                                        \
		void *p = kmalloc(size);                                         \
                                                                                 \
		return likely(p) ? p : nothrow_failed(size, tag, #name, CALLER); \
	}
#define OPERATOR_NEW_ALIGNED_NOTHROW(name)                                                      \
	EXPORT void *name(size_t size, size_t align, const struct nothrow *tag);                \
	EXPORT void *name(size_t size, size_t align, const struct nothrow *tag)                 \
	{                                                                                       \
		void *p = allocate(size, align);                                                \
                                                                                                \
		return likely(p) ? p : nothrow_aligned_failed(size, align, tag, #name, CALLER); \
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
