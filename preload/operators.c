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

/* The program has one of the basic forms of its own: see operators_init(). */
static bool replaced;

/* NULL for an alignment that is none, too: as libstdc++ has it, that is out of memory at once. */
static inline void *allocate(size_t size, size_t align)
{
	void *p;

	if (align <= MIN_ALIGN)
		return kmalloc(size);
	p = kmalloc_fast_aligned(size, align);
	if (likely(p))
		return p;
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

/* The C++ runtime's operator of the same name; NULL where there is none, and ours must do. */
static noinline void *next_operator(void **next, const char *name, const void *caller)
{
	if (!*next)
		*next = runtime_symbol(name, caller);
	return *next;
}

/* `base`: what the form calls by default, where the program has that and no runtime to ask is there. */
#define DEFINE_NEW(name, parameters, arguments, base, body)                            \
	EXPORT __attribute__((weak)) void *name parameters;                            \
	EXPORT __attribute__((weak)) void *name parameters                             \
	{                                                                              \
		static void *next;                                                     \
		void *p;                                                               \
                                                                                       \
		if (unlikely(replaced))                                                \
			return next_operator(&next, #name, CALLER)                     \
				       ? ((__typeof__(&name))(uintptr_t)next)arguments \
				       : base;                                         \
		body;                                                                  \
		return p;                                                              \
	}
/* The basic forms themselves, under a name that no program can replace. */
#define DEFINE_BASE(name, type, parameters) \
	EXPORT __attribute__((weak, alias(#name "_ours"))) type name parameters;

void *_Znwm_ours(size_t size);
void *_Znwm_ours(size_t size)
{
	void *p = kmalloc(size);

	return likely(p) ? p : new_failed(size, MIN_ALIGN, CALLER);
}
DEFINE_BASE(_Znwm, void *, (size_t size))

void *_ZnwmSt11align_val_t_ours(size_t size, size_t align);
void *_ZnwmSt11align_val_t_ours(size_t size, size_t align)
{
	void *p = allocate(size, align);

	return likely(p) ? p : new_failed(size, align, CALLER);
}
DEFINE_BASE(_ZnwmSt11align_val_t, void *, (size_t size, size_t align))

void _ZdlPv_ours(void *p);
void _ZdlPv_ours(void *p)
{
	kfree(p);
}
DEFINE_BASE(_ZdlPv, void, (void *p))

void _ZdlPvSt11align_val_t_ours(void *p, size_t align);
void _ZdlPvSt11align_val_t_ours(void *p, size_t align)
{
	(void)align;
	kfree(p);
}
DEFINE_BASE(_ZdlPvSt11align_val_t, void, (void *p, size_t align))

#define OPERATOR_NEW(name)                                   \
	DEFINE_NEW(name, (size_t size), (size), _Znwm(size), \
		   if (unlikely(!(p = kmalloc(size)))) p = new_failed(size, MIN_ALIGN, CALLER))
#define OPERATOR_NEW_ALIGNED(name)                                   \
	DEFINE_NEW(name, (size_t size, size_t align), (size, align), \
		   _ZnwmSt11align_val_t(size, align),                \
		   if (unlikely(!(p = allocate(size, align))))       \
			   p = new_failed(size, align, CALLER))
#define OPERATOR_NEW_NOTHROW(name)                                                           \
	DEFINE_NEW(name, (size_t size, const struct nothrow *tag), (size, tag), _Znwm(size), \
		   if (unlikely(!(p = kmalloc(size))))                                       \
			   p = nothrow_failed(size, tag, #name, CALLER))
#define OPERATOR_NEW_ALIGNED_NOTHROW(name)                                       \
	DEFINE_NEW(name, (size_t size, size_t align, const struct nothrow *tag), \
		   (size, align, tag), _ZnwmSt11align_val_t(size, align),        \
		   if (unlikely(!(p = allocate(size, align))))                   \
			   p = nothrow_aligned_failed(size, align, tag, #name, CALLER))

/* Size, alignment and tag are the caller's word, and not needed. */
#define UNUSED __attribute__((unused))
#define OPERATOR_DELETE(name, parameters, arguments, base)              \
	EXPORT __attribute__((weak)) void name parameters;              \
	EXPORT __attribute__((weak)) void name parameters               \
	{                                                               \
		static void *next;                                      \
                                                                        \
		if (likely(!replaced))                                  \
			kfree(p);                                       \
		else if (next_operator(&next, #name, CALLER))           \
			((__typeof__(&name))(uintptr_t)next) arguments; \
		else                                                    \
			base;                                           \
	}

OPERATOR_NEW(_Znam)
OPERATOR_NEW_ALIGNED(_ZnamSt11align_val_t)
OPERATOR_NEW_NOTHROW(_ZnwmRKSt9nothrow_t)
OPERATOR_NEW_NOTHROW(_ZnamRKSt9nothrow_t)
OPERATOR_NEW_ALIGNED_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t)
OPERATOR_NEW_ALIGNED_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t)

OPERATOR_DELETE(_ZdaPv, (void *p), (p), _ZdlPv(p))
OPERATOR_DELETE(_ZdlPvm, (void *p, size_t size UNUSED), (p, size), _ZdlPv(p))
OPERATOR_DELETE(_ZdaPvm, (void *p, size_t size UNUSED), (p, size), _ZdaPv(p))
OPERATOR_DELETE(_ZdaPvSt11align_val_t, (void *p, size_t align UNUSED), (p, align),
		_ZdlPvSt11align_val_t(p, align))
OPERATOR_DELETE(_ZdlPvmSt11align_val_t, (void *p, size_t size UNUSED, size_t align UNUSED),
		(p, size, align), _ZdlPvSt11align_val_t(p, align))
OPERATOR_DELETE(_ZdaPvmSt11align_val_t, (void *p, size_t size UNUSED, size_t align UNUSED),
		(p, size, align), _ZdaPvSt11align_val_t(p, align))
OPERATOR_DELETE(_ZdlPvRKSt9nothrow_t, (void *p, const struct nothrow *tag UNUSED), (p, tag),
		_ZdlPv(p))
OPERATOR_DELETE(_ZdaPvRKSt9nothrow_t, (void *p, const struct nothrow *tag UNUSED), (p, tag),
		_ZdaPv(p))
OPERATOR_DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t,
		(void *p, size_t align UNUSED, const struct nothrow *tag UNUSED), (p, align, tag),
		_ZdlPvSt11align_val_t(p, align))
OPERATOR_DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t,
		(void *p, size_t align UNUSED, const struct nothrow *tag UNUSED), (p, align, tag),
		_ZdaPvSt11align_val_t(p, align))

/*
 * A program may replace operator new(size_t) and delete(void *) alone, and the other forms must then call
 * these. The C++ runtime's own do: where a program has replaced one, they are called. Ours are weak, for
 * programs linked with libuslub.a that bring their own.
 */
void operators_init(void)
{
	const struct {
		const char *name;
		uintptr_t ours, linked;
	} base[] = {
		{"_Znwm", (uintptr_t)_Znwm_ours, (uintptr_t)_Znwm},
		{"_ZdlPv", (uintptr_t)_ZdlPv_ours, (uintptr_t)_ZdlPv},
		{"_ZnwmSt11align_val_t", (uintptr_t)_ZnwmSt11align_val_t_ours,
		 (uintptr_t)_ZnwmSt11align_val_t},
		{"_ZdlPvSt11align_val_t", (uintptr_t)_ZdlPvSt11align_val_t_ours,
		 (uintptr_t)_ZdlPvSt11align_val_t},
	};

	for (size_t i = 0; i < sizeof(base) / sizeof(base[0]); i++) {
		uintptr_t bound = (uintptr_t)dlsym(RTLD_DEFAULT, base[i].name);

		/* In a static program there is nothing to look in, and the linker has decided. */
		if (!bound)
			bound = base[i].linked;
		if (bound != base[i].ours)
			replaced = true;
	}
}
