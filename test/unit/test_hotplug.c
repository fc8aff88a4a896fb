/*
 * Nodes that go offline and come back: the states, what threads and caches give up, what stays valid, and that nothing
 * is left of a node whose objects are all freed. Each test in a child of its own.
 */
#include "nodes.h"

#include "core/kmem_cache.h"
#include "core/node_control.h"

#define SIZES 10
static const size_t sizes[SIZES] = {16, 64, 100, 256, 1000, 3000, 8192, 32768, 200000, 40 * MIB};

static void answers(void)
{
	must(node_state(1) == NODE_ONLINE && node_state(3) == NODE_OFFLINE);
	must(node_online(1) == NODE_SAME && node_offline(7) == NODE_UNKNOWN);
	must(node_online(7) == NODE_UNKNOWN && node_online(MAX_NODES) == NODE_UNKNOWN);
	must(node_offline(UINT32_MAX) == NODE_UNKNOWN);
	must(node_add(2, MIB) == NODE_EXISTS && node_add(MAX_NODES, MIB) == NODE_UNKNOWN);
	must(node_offline(1) == NODE_DONE && node_offline(1) == NODE_SAME);
	must(node_state(1) == NODE_GOING_OFFLINE);
	poll_all();
	must(node_state(1) == NODE_OFFLINE && node_offline(1) == NODE_SAME);
	must(node_offline(0) == NODE_DONE);
	must(node_offline(2) == NODE_LAST && node_state(2) == NODE_ONLINE);
	must(node_online(1) == NODE_DONE && node_offline(2) == NODE_DONE);
	must(node_offline(1) == NODE_LAST);
	poll_all();
	must(node_state(0) == NODE_OFFLINE && node_state(1) == NODE_ONLINE);
}

/* Pages that are on their way away stay, or come back. */
static void online_again(void)
{
	char *p = kmalloc_node(MIB, false, node(1));

	memset(p, 1, MIB);
	must(is_on(p, 1) && hotplug_node_of(p) == node(1));
	must(node_offline(1) == NODE_DONE);
	must(hotplug_node_of(p) == node(1));
	must(node_online(1) == NODE_DONE && node_state(1) == NODE_ONLINE);
	poll_all();
	must(hotplug_node_of(p) == node(1));
	must(node_offline(1) == NODE_DONE);
	poll_all();
	must(hotplug_node_of(p) == node(0));
	must(node_online(1) == NODE_DONE);
	poll_all();
	must(hotplug_node_of(p) == node(1) && is_on(p, 1));
	kfree(p);
}

/* From node 1 to node 2, and when that goes, to node 0; and back by one step. */
static void goes_on_from_node_to_node(void)
{
	char *p = kmalloc_node(MIB, false, node(1)), *q = kmalloc_node(40 * MIB, false, node(1));
	struct node_info info;

	memset(p, 1, MIB);
	memset(q, 1, MIB);
	must(is_on(p, 1) && is_on(q, 1));
	node_offline(1);
	poll_all();
	must(hotplug_node_of(p) == node(2));
	node_control_info(2, &info);
	must(info.mapped_bytes == 40 * MIB);
	node_offline(2);
	must(hotplug_node_of(p) == node(2));
	node_control_info(2, &info);
	must(info.mapped_bytes == 40 * MIB);
	poll_all();
	must(hotplug_node_of(p) == node(0));
	node_control_info(0, &info);
	must(info.mapped_bytes == 40 * MIB);
	node_online(1);
	poll_all();
	must(hotplug_node_of(p) == node(1));
	kfree(p);
	kfree(q);
}

/* The thread's slab of it, current or not, is given up at its next slow path; no further one is made. */
static void slabs_are_given_up(void)
{
	struct kmem_cache *s = kmalloc_cache(1000);
	void *p, *keep;
	uint32_t n = 0;

	test_cpu = 1;
	keep = kmalloc(1000);
	must(is_on(keep, 1) && own_cpu(s)->slab != &slab_none);
	must(node_offline(1) == NODE_DONE);
	pass_slow_path();
	must(own_cpu(s)->slab == &slab_none && sheaf_length(s) == 0);
	must(slab_shared(slab_of(keep), memory_order_relaxed).state == SLAB_PARTIAL);
	for (; n < 1000; n++) {
		p = kmalloc(1000);
		must(p && !is_on(p, 1));
	}
}

/* The lock is held by a frame that was interrupted: its slabs go at one of the next slow paths. */
static void slabs_are_given_up_when_the_lock_is_free(void)
{
	struct kmem_cache *s = kmalloc_cache(1000);
	void *keep;

	test_cpu = 1;
	keep = kmalloc(1000);
	must(is_on(keep, 1));
	hold_lock(s);
	must(node_offline(1) == NODE_DONE);
	pass_slow_path();
	drop_lock(s);
	pass_slow_path();
	must(own_cpu(s)->slab == &slab_none);
}

/* Its own free slow paths are slow paths, too. */
static void freeing_gives_up(void)
{
	static void *objects[20000];
	struct kmem_cache *s = kmalloc_cache(256);
	size_t n = sizeof(objects) / sizeof(objects[0]);

	test_cpu = 1;
	for (size_t i = 0; i < n; i++)
		must(is_on(objects[i] = kmalloc(256), 1));
	must(node_offline(1) == NODE_DONE);
	for (size_t i = 0; i < n; i++)
		kfree(objects[i]);
	must(own_cpu(s)->slab == &slab_none || !is_on((void *)own_cpu(s)->slab->base, 1));
	must(!own_lists(s)->partial && !own_lists(s)->full);
}

static void *make(size_t size, uint32_t id)
{
	unsigned char *p = kmalloc_node(size, false, node(id));

	must(is_on(p, id));
	memset(p, (int)size % 251, size < MIB ? size : MIB);
	return p;
}

static void check(const unsigned char *p, size_t size)
{
	size = size < MIB ? size : MIB;
	for (size_t i = 0; i < size; i++)
		must(p[i] == size % 251 || p[i] == (40 * MIB) % 251);
}

#define EACH 700
static void *live[SIZES][EACH];

static void make_live(uint32_t id)
{
	for (int i = 0; i < SIZES; i++) {
		size_t n = sizes[i] > 100000 ? 4 : sizes[i] > 4000 ? 60 : EACH;

		for (size_t k = 0; k < n; k++)
			live[i][k] = make(sizes[i], id);
	}
}

static void free_live(void)
{
	for (int i = 0; i < SIZES; i++) {
		for (size_t k = 0; k < EACH && live[i][k]; k++) {
			check(live[i][k], sizes[i]);
			kfree(live[i][k]);
			live[i][k] = NULL;
		}
	}
}

static void *free_live_elsewhere(void *arg)
{
	(void)arg;
	test_cpu = 0;
	free_live();
	return NULL;
}

/* When all is freed nothing is left there but what isn't objects'. `before`: frames that were in use. */
static void check_nothing_left(uint32_t id, size_t before)
{
	must(atomic_load(&node(id)->mapped) == 0);
	must(frames_in_use(id) == before);
}

/* Objects are freed by the thread, after their node has gone and all has been moved. */
static void nothing_is_left(void)
{
	size_t before = frames_in_use(1);

	make_live(1);
	must(node_offline(1) == NODE_DONE);
	pass_slow_path();
	poll_all();
	free_live();
	pass_slow_path();

	for (int i = 0; i < 100; i++) {
		for (int k = 0; k < SIZES; k++)
			kfree(kmalloc(sizes[k]));
	}

	thread_flush_all(current_thread);
	check_nothing_left(1, before);
}

static void nothing_is_left_of_others(void)
{
	size_t before = frames_in_use(1);

	make_live(1);
	must(node_offline(1) == NODE_DONE);
	pass_slow_path();
	poll_all();
	/* Not free_live_elsewhere()'s record. */
	test_cpu = 0;
	run_thread(free_live_elsewhere, NULL);
	check_nothing_left(1, before);
}

static void pages_go_back(void)
{
	size_t moved_before, moved, failed, resident;
	uint64_t m, f;

	make_live(1);
	resident = resident_on(1);
	must(resident > 4 * MIB);
	free_live();
	make_live(1);
	hotplug_moved(&m, &f);
	moved_before = m;
	must(node_offline(1) == NODE_DONE);
	pass_slow_path();
	thread_flush_all(current_thread);
	poll_all();
	hotplug_moved(&m, &f);
	moved = m - moved_before;
	failed = f;
	must(failed == 0 && moved >= 4 * MIB);
	free_live();
	thread_flush_all(current_thread);
	cache_shrink_all();
	purge_all();
	must(resident_on(1) < MIB / 2);
}

static void *move_up(void *p, size_t size)
{
	unsigned char *q = krealloc(p, size);

	must(q && *q == 5);
	return q;
}

/* What grows is of a node that is there, unless it grows where it is. */
static void grows_on_others(void)
{
	static const size_t from[] = {100, 5000, 40000, 300000, MIB, 5 * MIB, 40 * MIB};

	for (size_t i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
		unsigned char *p = kmalloc_node(from[i], false, node(1)), *q;
		/* So that it doesn't grow where it is. */
		void *behind = from[i] > 32768 && from[i] < 32 * MIB
				       ? kmalloc_node(from[i], false, node(1))
				       : NULL;

		must(is_on(p, 1));
		memset(p, 5, from[i]);
		must(node_offline(1) == NODE_DONE);
		poll_all();
		q = move_up(p, from[i] * 3);
		must(q == p || virt_to_slab(q)->kind == FRAME_MAPPED || !is_on(q, 1));
		kfree(q);
		kfree(behind);
		node_online(1);
		poll_all();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_NODES(answers, 3, "", "", "0/1/2"),
		ON_NODES(online_again, 3, "10/15/30", "", "0/1/2"),
		ON_NODES(goes_on_from_node_to_node, 3, "10/15/30/15/10/12/30/12/10", "", "0/1/2"),
		ON_NODES(slabs_are_given_up, 3, "", "", "0/1/2"),
		ON_NODES(slabs_are_given_up_when_the_lock_is_free, 3, "", "", "0/1/2"),
		ON_NODES(freeing_gives_up, 3, "", "", "0/1/2"),
		ON_NODES(nothing_is_left, 3, "", "", "0/1/2"),
		ON_NODES(nothing_is_left_of_others, 3, "", "", "0/1/2"),
		ON_NODES(pages_go_back, 3, "", "", "0/1/2"),
		ON_NODES(grows_on_others, 3, "", "", "0/1/2"),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
