/*
 * The any-context calls. Layer: nolock; see nolock.h.
 */
#include "nolock.h"
#include "control_lock.h"
#include "kmalloc.h"
#include "large.h"
#include "node.h"
#include "reserve.h"
#include "stats.h"
#include "text.h"

/* Every other size class: one frame is a slab here, and few sizes cost little. */
#define NR_SIZES (NR_SIZE_CLASSES / 2)

/* Set 0 is the reserve's, for objects on no account. */
static struct account {
	char name[ACCOUNT_NAME_MAX + 1]; /* const once `ready` */
	struct kmem_cache *caches[NR_SIZES];
	_Atomic uint32_t ready;
} accounts[MAX_ACCOUNTS + 1];

/* Their pages are there from now on. */
static void touch_nodes(struct kmem_cache *s)
{
	struct node *node;

	for_each_node(node)
		atomic_store_explicit(&get_node(s, node)->nr_empty, 0, memory_order_relaxed);
}

static bool cache_of_size(struct account *a, unsigned int i)
{
	struct text name = {0};
	uint32_t size = CLASS_SIZE(2 * i + 1);
	struct cache_args args = {name.buf, size, MIN_ALIGN, CACHE_NO_MERGE | CACHE_SHARED, NULL};

	text_add(&name, a->name);
	text_add(&name, "-");
	text_add_number(&name, size);
	name.buf[name.len] = '\0';
	a->caches[i] = cache_create(&args);
	if (!a->caches[i])
		return false;
	touch_nodes(a->caches[i]);
	return true;
}

/* All of its caches, or none. */
static bool account_fill(struct account *a)
{
	unsigned int i = 0;

	while (i < NR_SIZES && cache_of_size(a, i))
		i++;
	if (i == NR_SIZES) {
		/* Release pairs with the acquire in account_exists(): publishes name and caches. */
		atomic_store_explicit(&a->ready, 1, memory_order_release);
		return true;
	}
	while (i--)
		cache_destroy(a->caches[i]);
	return false;
}

/* The name is ACCOUNT_NAME_MAX long at most. */
static void account_set_name(struct account *a, const char *name)
{
	__builtin_memcpy(a->name, name, __builtin_strlen(name) + 1);
}

bool nolock_init(size_t bytes)
{
	size_t got = reserve_init(bytes);

	account_set_name(&accounts[0], "reserve");
	return account_fill(&accounts[0]) && got >= bytes;
}

bool account_exists(uint32_t account)
{
	return account <= MAX_ACCOUNTS &&
	       atomic_load_explicit(&accounts[account].ready, memory_order_acquire);
}

static uint32_t account_find(const char *name)
{
	for (uint32_t i = 1; i <= MAX_ACCOUNTS; i++) {
		if (account_exists(i) && !__builtin_strcmp(accounts[i].name, name))
			return i;
	}
	return 0;
}

static uint32_t account_add(const char *name)
{
	for (uint32_t i = 1; i <= MAX_ACCOUNTS; i++) {
		if (account_exists(i))
			continue;
		account_set_name(&accounts[i], name);
		return account_fill(&accounts[i]) ? i : 0;
	}
	return 0;
}

uint32_t account_create(const char *name)
{
	static _Atomic int account_mutex;
	uint32_t i;

	control_lock(&account_mutex);
	i = account_find(name);
	if (!i)
		i = account_add(name);
	control_unlock(&account_mutex);
	return i;
}

void account_read(uint32_t account, size_t *objects, size_t *bytes)
{
	*objects = *bytes = 0;
	for (unsigned int i = 0; i < NR_SIZES; i++) {
		const struct kmem_cache *s = accounts[account].caches[i];
		size_t n = cache_count_objects(s);

		*objects += n;
		*bytes += n * s->object_size;
	}
	*objects += atomic_load_explicit(&large_accounts[account].objects, memory_order_relaxed);
	*bytes += atomic_load_explicit(&large_accounts[account].bytes, memory_order_relaxed);
}

/* Of the reserve, else of the heap. */
static void *large_nolock(size_t size, uint32_t account, struct node *node, bool *zeroed)
{
	void *p = large_alloc_reserved(size, node);

	if (!p && reserve_total() && cache_shrink_shared())
		p = large_alloc_reserved(size, node);
	if (!p)
		p = large_alloc_node(size, node, zeroed);
	if (p && account)
		large_charge(p, (uint8_t)account);
	return p;
}

void *kmalloc_nolock(size_t size, uint32_t account, bool zero, struct node *node)
{
	bool zeroed = false;
	void *p;

	if (!account && !account_exists(0)) {
		if (node)
			return kmalloc_node(size, zero, node);
		return zero ? kzalloc(size) : kmalloc(size);
	}
	if (!node)
		node = numa_home();
	if (size > KMALLOC_MAX_SIZE)
		p = large_nolock(size, account, node, &zeroed);
	else
		p = cache_alloc_shared(accounts[account].caches[size_class(size) / 2], node);
	if (p && zero && !zeroed)
		__builtin_memset(p, 0, size);
	return p;
}

void kfree_nolock(void *p)
{
	struct slab *slab = (uintptr_t)p >> OS_ADDRESS_BITS ? &slab_none : slab_of(p);

	if (slab->kind == FRAME_SLAB)
		slab_free_shared(slab, p);
	else if (is_large(slab) && slab->base == (uintptr_t)p && !large_is_free(slab))
		large_free(slab);
	else if (p)
		kfree_slow(p);
}
