/*
 * What was begun before a node left, or a policy changed, and ends after: slabs and runs that are made too late, slabs
 * that become empty on their way, walks, and processes that are forked in the middle. Each with the losing order forced.
 */
#include "races.h"

#include "core/control_lock.h"
#include "core/counters.h"
#include "core/numa_state.h"

/* The node was chosen before it left; the slab is made of it after, and given up at the next slow path. */
static void slab_made_too_late(void)
{
	void *p;

	cache = make_cache("late");
	test_cpu = 1;
	at(IN_NEW_SLAB_ON, 1, go_offline);
	p = cache_alloc(cache);
	must(!there[IN_NEW_SLAB_ON] && is_on(p, 1));
	must(slab_node(own_cpu(cache)->slab) == node(1));
	pass_slow_path();
	must(own_cpu(cache)->slab == &slab_none && sheaf_length(cache) == 0);
	for (int i = 0; i < 500; i++)
		must(!is_on(cache_alloc(cache), 1));
	slab_free(slab_of(p), p);
	thread_flush_all(current_thread);
	must(frames_in_use(1) <= 1);
}

/* The same where the slab is of the node that was asked for: nobody keeps it. */
static void slab_made_too_late_of_a_certain_node(void)
{
	void *p;

	cache = make_cache("late");
	at(IN_NEW_SLAB_ON, 1, go_offline);
	p = cache_alloc_node(cache, node(1));
	must(!there[IN_NEW_SLAB_ON] && is_on(p, 1));
	must(!kmalloc_find_node(1));
	slab_free(slab_of(p), p);
	thread_flush_all(current_thread);
	must(atomic_load(&cache->nr_slabs) == 0 && frames_in_use(1) == 0);
}

static void run_made_too_late(void)
{
	void *p;

	test_cpu = 1;
	pass_slow_path();
	at(IN_NEW_FRAMES, 1, go_offline);
	p = kmalloc(10 * MIB);
	must(!there[IN_NEW_FRAMES] && is_on(p, 1));
	kfree(p);
	/* It isn't taken again, though it was freed last. */
	must(!is_on(kmalloc(10 * MIB), 1));
}

static void free_one(void)
{
	kfree_slow(kept[1][0]);
}

static void free_one_meanwhile(void)
{
	meanwhile(free_one);
}

/*
 * The last object of a slab that is on its way onto the list of a node that has left is freed before it is there:
 * nobody will come to take the slab.
 */
static void emptied_in_hand(void)
{
	cache = make_cache("emptied");
	test_cpu = 1;
	must(is_on(kept[1][0] = cache_alloc(cache), 1));
	offline_1_to_its_end();
	at(IN_RELEASE, 1, free_one_meanwhile);
	pass_slow_path();
	must(!there[IN_RELEASE]);
	thread_flush_all(current_thread);
	must(atomic_load(&cache->nr_slabs) == 0);
}

/* It was decided that an empty slab be kept for the next, when its node left. */
static void kept_empty_too_long(void)
{
	void *p;

	cache = make_cache("kept");
	atomic_store(&cache_knobs_of(cache)->min_partial, 5);
	test_cpu = 1;
	must(is_on(p = cache_alloc(cache), 1));
	slab_free(slab_of(p), p);
	at(IN_RELEASE, 1, go_offline);
	thread_flush(current_thread, cache);
	must(!there[IN_RELEASE]);
	must(atomic_load(&cache->nr_slabs) == 0);
}

static void bind_to_0(void)
{
	must(set_policy("bind:0"));
}

static void bind_to_0_meanwhile(void)
{
	meanwhile(bind_to_0);
}

static void bind_to_3_and_offline(void)
{
	must(set_policy("bind:3"));
	offline_1();
	must(node_offline(0) == NODE_DONE);
}

static void bind_to_3_meanwhile(void)
{
	meanwhile(bind_to_3_and_offline);
}

/* The walk over what node 1 falls back to has passed node 0, when that is the only one that is allowed. */
static void policy_in_a_walk(void)
{
	for (int nth = 1; nth <= 4; nth++) {
		void *p;

		must(set_policy("bind:1"));
		while ((p = kmalloc(32768)))
			must(is_on(p, 1));
		at(IN_WALK, nth, bind_to_0_meanwhile);
		must(kmalloc(32768) && kmalloc(100000));
		there[IN_WALK] = NULL;
		must(set_policy("bind:1"));
		at(IN_WALK, nth, bind_to_3_meanwhile);
		must(kmalloc(100000) && kmalloc(32768) && kmalloc(40 * MIB));
		there[IN_WALK] = NULL;
		node_online(0);
		node_online(1);
	}
}

/* In the child of a fork that came in the middle: nobody goes on with what the parent was at. */
static void check_after_fork(void)
{
	bool was_slab_node = kmalloc_find_node(1) != NULL, is_slab_node;
	void *p;

	test_cpu = 1;
	must(kmalloc(100) && kmalloc(MIB) && node_online(0) == NODE_SAME);
	poll_all();
	is_slab_node = kmalloc_find_node(1) != NULL;
	must(is_slab_node ? was_slab_node : node_state(1) == NODE_OFFLINE);
	pass_slow_path();
	p = kmalloc(300000);
	must(is_on(p, 1) == is_slab_node);
	must(node_online(1) == (is_slab_node ? NODE_SAME : NODE_DONE));
	poll_all();
	check_cache_on(make_cache("child's"), 1);
	must(is_on(kmalloc(300000), 1) && hotplug_node_of(kept[1][0]) == node(1));
	must(node_offline(1) == NODE_DONE);
	poll_all();
	must(hotplug_node_of(kept[1][0]) == node(0));
	free_kept();
	check_clean();
}

static void fork_here(void)
{
	pid_t pid = fork();
	int status;

	must(pid >= 0);
	if (pid == 0) {
		check_after_fork();
		_exit(0);
	}
	must(waitpid(pid, &status, 0) == pid && status == 0);
}

static void forked_in_the_middle(void)
{
	make_lists();
	at(IN_OFFLINE, 1, fork_here);
	offline_1();
	must(!there[IN_OFFLINE]);
	at(IN_SHRINK, 1, fork_here);
	poll_all();
	must(!there[IN_SHRINK]);
	at(IN_ONLINE, 1, fork_here);
	must(node_online(1) == NODE_DONE && !there[IN_ONLINE]);
	fork_here();
}

/* As a fork leaves it between the bit and what follows from it. */
static void left_half_changed(void)
{
	make_lists();
	atomic_fetch_and(&numa.slab_nodes[0], ~UINT64_C(2));
	atomic_store(&slab_mutex, 1);
	check_after_fork();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_NODES(slab_made_too_late, 2, "", "", "0/1"),
		ON_NODES(slab_made_too_late_of_a_certain_node, 2, "", "", "0/1"),
		ON_NODES(run_made_too_late, 2, "", "", "0/1"),
		ON_NODES(emptied_in_hand, 2, "", "", "0/1"),
		ON_NODES(kept_empty_too_long, 2, "", "", "0/1"),
		ON_NODES(forked_in_the_middle, 2, "", "", "0/1"),
		ON_NODES(left_half_changed, 2, "", "", "0/1"),
		ON_NODES(policy_in_a_walk, 4, "", "0/16M/0/0", "0/1/2/3"),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
