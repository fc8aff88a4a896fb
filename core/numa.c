/*
 * Which node memory comes from: the policy, the cpu, the nodes that there are. Layer: numa; see numa.h.
 *
 * All of it is words that the control plane stores and everybody reads: whoever reads while they change finds nodes of
 * before or after, each of them one that exists.
 */
#include "numa_state.h"
#include "os_numa.h"

struct node first_node;
_Atomic bool numa_on;
_Atomic uint32_t numa_nr_left;

struct numa_state numa;

struct node *numa_node(uint32_t id)
{
	return id < MAX_NODES ? atomic_load_explicit(&numa.nodes[id], memory_order_acquire) : NULL;
}

struct node *numa_last(void)
{
	struct node *last = atomic_load_explicit(&numa.last, memory_order_acquire);

	return last ? last : &first_node;
}

/* The nearest to the node of that number, whether there is one or not. */
static struct node *nearest_to(uint32_t id)
{
	struct node *node = numa_node(atomic_load_explicit(
		&numa.nearest[id < MAX_NODES ? id : first_node.id], memory_order_relaxed));

	return node ? node : &first_node;
}

struct node *numa_nearest(uint32_t id)
{
	return nearest_to(id);
}

struct node *numa_local(void)
{
	int cpu = os_getcpu();

	if (cpu < 0 || (uint32_t)cpu >= MAX_IDS)
		return nearest_to(first_node.id);
	return nearest_to(__atomic_load_n(&numa.topology->cpu_node[cpu], __ATOMIC_RELAXED));
}

static struct node *whose_turn(void)
{
	uint32_t n = atomic_load_explicit(&numa.nr_turns, memory_order_relaxed), i;

	if (!n)
		return numa_local();
	i = atomic_load_explicit(&numa.turn, memory_order_relaxed) % n;
	return nearest_to(atomic_load_explicit(&numa.turns[i], memory_order_relaxed));
}

struct node *__numa_home(void)
{
	switch (numa_mode()) {
	case POLICY_PREFERRED:
		return nearest_to(atomic_load_explicit(&numa.preferred, memory_order_relaxed));
	case POLICY_INTERLEAVE:
		return whose_turn();
	case POLICY_DEFAULT:
	case POLICY_LOCAL:
	case POLICY_BIND:
		break;
	}
	return numa_local();
}

bool numa_has_colours(void)
{
	return numa.colours;
}

uint32_t numa_colour(const struct node *node)
{
	return numa_mode() == POLICY_INTERLEAVE ? 0 : node->colour;
}

bool numa_is_slab_node(const struct node *node)
{
	return !numa_is_on() || nodes_have(numa.slab_nodes, node->id);
}

bool numa_is_alloc_node(const struct node *node)
{
	return !numa_is_on() || nodes_have(numa.alloc_nodes, node->id);
}

/* Where home has nothing left, one slab from elsewhere is as good as the next. */
bool __numa_is_welcome(const struct node *node, const struct node *home, uint32_t frames)
{
	return nodes_have(numa.alloc_nodes, node->id) &&
	       (numa_mode() == POLICY_INTERLEAVE || node_is_full(home, frames));
}

bool __numa_is_welcome_here(const void *frame, uint32_t frames)
{
	return numa_is_welcome(node_of(frame), __numa_home(), frames);
}

/* So long a node that had nothing isn't asked again, should nobody say that it has. */
#define HINT_MS 100

static union node_hint hint_get(const _Atomic uint64_t *hint)
{
	return (union node_hint){.word = atomic_load_explicit(hint, memory_order_relaxed)};
}

static void hint_set(_Atomic uint64_t *hint, uint64_t now, uint32_t value)
{
	union node_hint new = {.word = 0};

	new.until = (now + HINT_MS) & 0xffffffffffff;
	new.value = value & 0xffff;
	atomic_store_explicit(hint, new.word, memory_order_relaxed);
}

bool __node_is_full(const struct node *node, uint32_t frames)
{
	union node_hint full = hint_get(&node->full);

	return frames >= full.value && os_clock_ms() < full.until;
}

void node_note_full(struct node *node, uint32_t frames)
{
	union node_hint full = hint_get(&node->full);
	uint64_t now = os_clock_ms();

	hint_set(&node->full, now,
		 now < full.until && full.value < frames ? (uint32_t)full.value : frames);
}

void node_note_near(const struct node_walk *walk)
{
	if (walk->at > 2 && !walk->every && !hint_get(&walk->first->near).word)
		hint_set(&walk->first->near, os_clock_ms(), walk->at - 1);
}

/* Behind the first: where the last walk has found something, if that was lately. */
static uint32_t walk_from(struct node *first)
{
	union node_hint near = hint_get(&first->near);

	if (likely(!near.word))
		return 1;
	if (os_clock_ms() < near.until)
		return near.value;
	atomic_store_explicit(&first->near, 0, memory_order_relaxed);
	return 1;
}

struct node *node_walk_next(struct node_walk *walk)
{
	if (walk->at++ == 0)
		return walk->first;
	if (walk->at == 2 && !walk->every && numa_is_on())
		walk->at = walk_from(walk->first) + 1;
	for (; numa_is_on() && walk->at <= MAX_NODES; walk->at++) {
		uint32_t id = atomic_load_explicit(&walk->first->order[walk->at - 1],
						   memory_order_relaxed);
		struct node *node = numa_node(id);

		if (id == NO_NODE)
			break;
		if (node && nodes_have(numa.alloc_nodes, id))
			return node;
	}
	return NULL;
}

static void node_add(struct node *node, enum node_count which, uint32_t frames)
{
	atomic_fetch_add_explicit(&node->count[which], frames, memory_order_relaxed);
}

void __numa_count(struct node *wanted, struct node *node, uint32_t frames)
{
	if (node == wanted) {
		node_add(node, NUMA_HIT, frames);
		if (numa_mode() == POLICY_INTERLEAVE)
			node_add(node, INTERLEAVE_HIT, frames);
	} else {
		node_add(node, NUMA_MISS, frames);
		node_add(wanted, NUMA_FOREIGN, frames);
	}
	node_add(node, node == numa_local() ? LOCAL_NODE : OTHER_NODE, frames);
}

void numa_next_turn(void)
{
	if (numa_mode() == POLICY_INTERLEAVE)
		atomic_fetch_add_explicit(&numa.turn, 1, memory_order_relaxed);
}

bool node_has_room(struct node *node, size_t bytes)
{
	uint64_t size = atomic_load_explicit(&node->size, memory_order_relaxed);
	size_t charged = atomic_load_explicit(&node->charged, memory_order_relaxed);

	return !size || (bytes <= size && charged <= size - bytes);
}

bool node_charge(struct node *node, size_t bytes)
{
	uint64_t size = atomic_load_explicit(&node->size, memory_order_relaxed);
	size_t charged = atomic_load_explicit(&node->charged, memory_order_relaxed);
	struct nowait w = {0};

	if (!size)
		return true;
	do {
		if (bytes > size || charged > size - bytes)
			return false;
	} while (!nowait(&w, atomic_compare_exchange_weak_explicit(
				     &node->charged, &charged, charged + bytes,
				     memory_order_relaxed, memory_order_relaxed)));
	return true;
}

void node_charge_anyway(struct node *node, size_t bytes)
{
	if (atomic_load_explicit(&node->size, memory_order_relaxed))
		atomic_fetch_add_explicit(&node->charged, bytes, memory_order_relaxed);
}

void node_uncharge(struct node *node, size_t bytes)
{
	if (atomic_load_explicit(&node->size, memory_order_relaxed))
		atomic_fetch_sub_explicit(&node->charged, bytes, memory_order_relaxed);
	node_end_full(node);
}

uint32_t numa_real(const struct node *node)
{
	return numa.binds ? node->real : NO_NODE;
}

void node_bind(struct node *node, void *addr, size_t size)
{
	struct node *on = atomic_load_explicit(&node->pages_on, memory_order_relaxed);
	uint32_t real = numa_is_on() ? numa_real(on ? on : node) : NO_NODE;

	if (real != NO_NODE && !numa.task_policy)
		os_bind_preferred(addr, size, real);
}

static void bind_in_turn(void *addr, size_t size)
{
	struct os_nodes nodes = {.bits = {0}};
	uint32_t n = atomic_load_explicit(&numa.nr_turns, memory_order_relaxed);

	for (uint32_t i = 0; i < n; i++) {
		const struct node *node =
			numa_node(atomic_load_explicit(&numa.turns[i], memory_order_relaxed));

		if (node && node->real < MAX_NODES)
			nodes.bits[node->real / 64] |= UINT64_C(1) << node->real % 64;
	}
	os_bind_interleave(addr, size, &nodes);
}

bool node_bind_mapping(struct node *node, void *addr, size_t size, bool wanted)
{
	enum policy_mode mode = numa_mode();

	if (!numa_is_on() || !numa.binds || numa.task_policy)
		return false;
	if (!wanted && mode == POLICY_INTERLEAVE)
		bind_in_turn(addr, size);
	if (!wanted && mode != POLICY_PREFERRED && mode != POLICY_BIND)
		return false;
	node_bind(node, addr, size);
	return true;
}
