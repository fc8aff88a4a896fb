/*
 * Names of merged caches. Layer: caches; see aliases.h.
 *
 * A slot of the table is odd while it is written. A reader that sees its version change has read two names.
 */
#include "aliases.h"

struct alias {
	_Atomic uint32_t version;	    /* slab_mutex; odd: under way */
	_Atomic(struct kmem_cache *) cache; /* slab_mutex; NULL: free */
	char name[ALIAS_NAME];		    /* slab_mutex, and the version */
};

static struct alias aliases[NR_ALIASES];
static _Atomic uint32_t nr_aliases;

racy_reader struct kmem_cache *alias_get(uint32_t index, char name[ALIAS_NAME], bool *end)
{
	struct alias *a = &aliases[index];
	struct kmem_cache *s;
	uint32_t version;

	*end = index >= atomic_load_explicit(&nr_aliases, memory_order_acquire);
	if (*end)
		return NULL;
	version = atomic_load_explicit(&a->version, memory_order_acquire);
	s = atomic_load_explicit(&a->cache, memory_order_acquire);
	__builtin_memcpy(name, a->name, ALIAS_NAME);
	atomic_thread_fence(memory_order_acquire);
	if (version % 2 || version != atomic_load_explicit(&a->version, memory_order_relaxed))
		return NULL;
	return s;
}

static void alias_write(struct alias *a, struct kmem_cache *s, const char *name)
{
	size_t n = 0;

	atomic_fetch_add_explicit(&a->version, 1, memory_order_relaxed);
	/* Pairs with the acquire fence in alias_get(): the version is odd before the name changes. */
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&a->cache, s, memory_order_relaxed);
	while (n < ALIAS_NAME - 1 && *name)
		a->name[n++] = *name++;
	a->name[n] = '\0';
	atomic_fetch_add_explicit(&a->version, 1, memory_order_release);
}

static bool is_name(const char *one, const char *other)
{
	return __builtin_strncmp(one, other, ALIAS_NAME - 1) == 0;
}

void alias_add(struct kmem_cache *s, const char *name)
{
	uint32_t n = atomic_load_explicit(&nr_aliases, memory_order_relaxed), free = n;

	if (is_name(s->name, name))
		return;
	for (uint32_t i = 0; i < n; i++) {
		struct kmem_cache *of =
			atomic_load_explicit(&aliases[i].cache, memory_order_relaxed);

		if (!of)
			free = i;
		else if (is_name(aliases[i].name, name))
			return;
	}
	if (free == NR_ALIASES)
		return;
	alias_write(&aliases[free], s, name);
	if (free == n)
		atomic_store_explicit(&nr_aliases, n + 1, memory_order_release);
}

void alias_remove_all(const struct kmem_cache *s)
{
	uint32_t n = atomic_load_explicit(&nr_aliases, memory_order_relaxed);

	for (uint32_t i = 0; i < n; i++) {
		if (atomic_load_explicit(&aliases[i].cache, memory_order_relaxed) == s)
			alias_write(&aliases[i], NULL, "");
	}
}
