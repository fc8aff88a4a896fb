/*
 * The races that "mm, slab, slub: stop taking memory hotplug lock" names, and their like, each with the losing order
 * forced: one side is led through the test in its middle by the linker's --wrap, and there the other side runs, on a
 * thread of its own, to its end, or to where it has to wait.
 */
#include "races.h"

#include "core/control_lock.h"

static struct kmem_cache *created;

static void create(void)
{
	created = make_cache("created");
}

static void online_5(void)
{
	must(node_online(5) == NODE_DONE);
}

static void destroy(void)
{
	cache_destroy(cache);
}

static void shrink(void)
{
	cache_shrink(cache);
}

static void start_create(void)
{
	start(create);
	must_wait();
}

/* A cache that is created while a node comes online has what it needs there. */
static void create_against_online(void)
{
	must(node_add(5, 0) == NODE_DONE);
	at(IN_ONLINE, 1, start_create);
	online_5();
	/* Before the creator says anything, and after. */
	must_end();
	check_cache_on(created, 5);
	check_cache_on(make_cache("later"), 5);
}

static void start_online(void)
{
	start(online_5);
	must_wait();
}

/* The other way round: the node comes while the cache is half made. */
static void online_against_create(void)
{
	must(node_add(5, 0) == NODE_DONE);
	/* Its slot is taken again, where create looks at what is left in it. */
	cache_destroy(make_cache("first"));
	at(IN_CREATE, 1, start_online);
	create();
	must(!there[IN_CREATE]);
	must_end();
	check_cache_on(created, 5);
}

static void come_online(void)
{
	meanwhile(online_5);
}

/* Shrink goes over the nodes when one comes: it may miss it, and takes no mutex that could hold it up. */
static void shrink_against_online(void)
{
	make_lists();
	must(node_add(5, 0) == NODE_DONE);
	for (int nth = 1; nth <= 2; nth++) {
		at(IN_SHRINK, nth, nth == 1 ? come_online : go_offline);
		shrink();
		must(!there[IN_SHRINK]);
	}
	check_cache_on(cache, 5);
	free_kept();
	check_clean();
}

/* One goes: what shrink has in its hands goes where it belongs, and the lists stay what they are. */
static void shrink_against_offline(void)
{
	make_lists();
	at(IN_POP, 2, go_offline);
	shrink();
	must(!there[IN_POP] && node_state(1) == NODE_OFFLINE);
	shrink();
	must(node_online(1) == NODE_DONE);
	check_cache_on(cache, 1);
	must(node_offline(1) == NODE_DONE);
	poll_all();
	free_kept();
	check_clean();
}

static void use_all(void)
{
	shrink();
	cache_shrink_all();
	for (int i = 0; i < 1000; i++) {
		void *p = kmalloc((size_t)i * 97 + 1), *q = cache_alloc(cache);

		must(p && q);
		p = krealloc(p, (size_t)i * 31 + 1);
		must(p);
		kfree(p);
		slab_free(slab_of(q), q);
	}
	kmalloc_trim();
}

/* Who holds slab_mutex is stopped for good: nobody who allocates, frees or shrinks waits. */
static void a_stopped_holder(void)
{
	make_lists();
	control_lock(&slab_mutex);
	meanwhile(use_all);
	start(offline_1);
	must_wait();
	use_all();
	control_unlock(&slab_mutex);
	must_end();
	meanwhile(use_all);
}

static void start_offline(void)
{
	start(offline_1_to_its_end);
	must_wait();
}

static void start_destroy(void)
{
	start(destroy);
	must_wait();
}

static void check_destroyed(void)
{
	thread_check_destroyed(current_thread);
	/* Its slot serves the next. */
	must(make_cache("next") == cache);
	check_cache_on(cache, 0);
}

static void destroy_against_offline(void)
{
	make_lists();
	free_kept();
	at(IN_DESTROY, 1, start_offline);
	destroy();
	must_end();
	must(node_state(1) == NODE_OFFLINE);
	check_destroyed();
}

static void offline_against_destroy(void)
{
	make_lists();
	free_kept();
	/* In another place: behind the bit, before anything is moved. */
	at(IN_OFFLINE, 1, start_destroy);
	offline_1();
	must(!there[IN_OFFLINE]);
	must_end();
	poll_all();
	check_destroyed();
}

/* While the walk of an offline has the lists of all caches in its hands. */
static void destroy_against_the_walk(void)
{
	make_lists();
	free_kept();
	offline_1();
	at(IN_SHRINK, 1, start_destroy);
	poll_all();
	must(!there[IN_SHRINK]);
	must_end();
	check_destroyed();
}

static void online_against_destroy(void)
{
	make_lists();
	free_kept();
	must(node_add(5, 0) == NODE_DONE);
	at(IN_ONLINE, 1, start_destroy);
	online_5();
	must_end();
	check_destroyed();
	check_cache_on(cache, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_NODES(create_against_online, 2, "", "", "0/1"),
		ON_NODES(online_against_create, 2, "", "", "0/1"),
		ON_NODES(shrink_against_online, 2, "", "", "0/1"),
		ON_NODES(shrink_against_offline, 2, "", "", "0/1"),
		ON_NODES(a_stopped_holder, 2, "", "", "0/1"),
		ON_NODES(destroy_against_offline, 2, "", "", "0/1"),
		ON_NODES(offline_against_destroy, 2, "", "", "0/1"),
		ON_NODES(destroy_against_the_walk, 2, "", "", "0/1"),
		ON_NODES(online_against_destroy, 2, "", "", "0/1"),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
