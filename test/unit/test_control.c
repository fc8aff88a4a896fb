/* The tree of control files: what is where, what it shows and stores, and what is refused. */
#include "heap.h"

#include <errno.h>

#include "core/aliases.h"
#include "core/control_snapshot.h"
#include "core/control_tree.h"
#include "core/counters.h"
#include "core/os_file.h"

static char text[1 << 18];

typedef int (*reader)(const char *path, size_t len, struct control_out *out);

static int read_by(reader fn, const char *path)
{
	struct control_out out = {text, sizeof(text) - 1, 0};
	int error = fn(path, strlen(path), &out);

	text[out.len] = '\0';
	return error;
}

static const char *show(const char *path)
{
	assert_int_equal(read_by(control_show, path), 0);
	return text;
}

static int store(const char *path, const char *value)
{
	return control_store(path, strlen(path), value, strlen(value));
}

/* Every directory and file from `path` on is as its parent lists it. Returns how many files there are. */
static unsigned int walk(const char *path)
{
	char *list, *line, *rest, child[256];
	unsigned int files = 0, mode;
	char type, name[64];

	assert_int_equal(read_by(control_list, path), 0);
	list = rest = strdup(text);
	while ((line = strsep(&rest, "\n")) && *line) {
		assert_int_equal(sscanf(line, "%c %o %63s", &type, &mode, name), 3);
		snprintf(child, sizeof(child), "%s%s%s", path, *path ? "/" : "", name);
		assert_int_equal(read_by(control_stat, child), 0);
		assert_int_equal(strncmp(text, line, 6), 0);
		if (type == 'd') {
			assert_int_equal(mode, 0555);
			assert_int_equal(read_by(control_show, child), EISDIR);
			assert_int_equal(store(child, "1"), EISDIR);
			files += walk(child);
			continue;
		}
		files++;
		assert_int_equal(type, '-');
		assert_int_equal(read_by(control_list, child), ENOTDIR);
		assert_int_equal(read_by(control_show, child), mode & 0444 ? 0 : EACCES);
		assert_int_equal(store(child, "nonsense"), mode & 0222 ? EINVAL : EACCES);
	}
	assert_true(line && !*line && !rest);
	free(list);
	return files;
}

static void every_entry_is_as_it_is_listed(void **state)
{
	unsigned int per_cache = 0;

	(void)state;
	for (const struct attribute *a = control_attributes; a->path; a++)
		per_cache += strncmp(a->path, "kernel/slab/@/", 14) == 0;
	assert_true(per_cache > 25);
	assert_int_equal(walk("kernel"), per_cache * NR_KMALLOC_CACHES);
	assert_int_equal(walk("devices"), 12);
	assert_int_equal(walk("kernel/slab/kmalloc-64"), per_cache);
	assert_int_equal(read_by(control_list, ""), 0);
	assert_string_equal(text, "- 0400 slabinfo\nd 0555 devices\nd 0555 kernel\n");
}

static void what_is_not_there_is_not_found(void **state)
{
	static const char *const paths[] = {
		"none",
		"kernel/slab/kmalloc-65",
		"kernel/slab/kmalloc-6",
		"kernel/slab/kmalloc-64:0",
		"kernel/slab/@",
		"kernel/slab/kmalloc-64/none",
		"kernel/slab/../slab",
		"devices/system/node/node1",
		"devices/system/node/node#",
		"devices/system/node/node",
		"devices/system/node/node00",
		"devices/system/node/node+0",
		"devices/system/node/node0\n",
		"devices/system/node/node99999999999",
		"devices/system/node/node1024/state",
		"slabinf",
		"slabinfo2",
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		assert_int_equal(read_by(control_stat, paths[i]), ENOENT);
		assert_int_equal(read_by(control_list, paths[i]), ENOENT);
		assert_int_equal(read_by(control_show, paths[i]), ENOENT);
		assert_int_equal(store(paths[i], "1"), ENOENT);
	}
	assert_int_equal(read_by(control_stat, "slabinfo/x"), ENOTDIR);
	assert_int_equal(read_by(control_show, "kernel/slab/kmalloc-64/order/x"), ENOTDIR);
	assert_int_equal(read_by(control_stat, "//kernel//slab/"), 0);
	assert_string_equal(text, "d 0555\n");
}

static void one_node_is_online_and_stays_so(void **state)
{
	(void)state;
	assert_string_equal(show("devices/system/node/possible"), "0\n");
	assert_string_equal(show("devices/system/node/online"), "0\n");
	assert_string_equal(show("devices/system/node/node0/state"), "online\n");
	assert_string_equal(show("devices/system/node/node0/distance"), "10\n");
	assert_int_equal(store("devices/system/node/node0/state", "online\n"), EINVAL);
	assert_int_equal(store("devices/system/node/node0/state", "offline\n"), EBUSY);
	assert_int_equal(store("devices/system/node/node0/state", "offlin"), EINVAL);
	assert_int_equal(store("devices/system/node/probe", "1024 1"), ERANGE);
	assert_int_equal(store("devices/system/node/probe", "0 1G"), EEXIST);
	assert_int_equal(store("devices/system/node/probe", "1"), EINVAL);
	assert_int_equal(store("devices/system/node/probe", "1 "), EINVAL);
	assert_int_equal(store("devices/system/node/probe", " 1"), EINVAL);
	assert_int_equal(store("devices/system/node/probe", "1 G"), EINVAL);
	assert_int_equal(store("devices/system/node/probe", "1 99999999999999999999"), ERANGE);
	assert_int_equal(store("devices/system/node/probe", "1 99999999999999999G"), ERANGE);
}

#define FILE_OF(name) "kernel/slab/kmalloc-192/" name

static uint64_t figure(const char *path)
{
	unsigned long sum, node = 0;

	if (sscanf(show(path), "%lu N0=%lu\n", &sum, &node) == 2)
		assert_int_equal(sum, node);
	else
		assert_int_equal(sum, 0);
	return sum;
}

static void figures_are_exact(void **state)
{
	static void *objects[2000];
	struct kmem_cache *s = kmalloc_cache(192);
	char expected[64];

	(void)state;
	assert_int_equal(figure(FILE_OF("objects")), 0);
	for (unsigned int i = 0; i < 2000; i++) {
		objects[i] = kmalloc(192);
		if (i % 97 == 0)
			assert_int_equal(figure(FILE_OF("objects")), i + 1);
	}
	assert_int_equal(figure(FILE_OF("slabs")), slabs_of(s));
	assert_int_equal(figure(FILE_OF("cpu_slabs")), slabs_of(s));
	assert_int_equal(figure(FILE_OF("total_objects")), slabs_of(s) * s->objects);
	assert_int_equal(figure(FILE_OF("partial")), 0);
	snprintf(expected, sizeof(expected), "%u\n", s->objects);
	assert_string_equal(show(FILE_OF("objs_per_slab")), expected);
	assert_string_equal(show(FILE_OF("object_size")), "192\n");
	assert_string_equal(show(FILE_OF("align")), "64\n");
	assert_string_equal(show(FILE_OF("aliases")), "0\n");
	assert_string_equal(show(FILE_OF("ctor")), "");
	thread_flush_all(current_thread);
	assert_int_equal(figure(FILE_OF("cpu_slabs")), 0);
	assert_int_equal(figure(FILE_OF("objects")), 2000);
	assert_true(figure(FILE_OF("objects_partial")) <= 2000 % s->objects);
	for (unsigned int i = 0; i < 2000; i++)
		kfree(objects[i]);
	assert_int_equal(figure(FILE_OF("objects")), 0);
}

static unsigned long kib_of(const char *what)
{
	const char *at = strstr(text, what);

	assert_non_null(at);
	return strtoul(at + strlen(what), NULL, 10);
}

/* The nodes' sums are the heap's. */
static void memory_is_the_heaps(void **state)
{
	void *small = kmalloc(192), *run = kmalloc(1 << 20), *mapped = kmalloc((size_t)64 << 20);
	struct heap_stats heap;

	(void)state;
	assert_true(small && run && mapped);
	kfree(kmalloc(300000));
	heap_stats(&heap, NULL);
	show("devices/system/node/node0/meminfo");
	assert_int_equal(kib_of(" Slab:"), (heap.small_used + heap.small_free) >> 10);
	assert_int_equal(kib_of(" AnonPages:"), (heap.run_bytes + heap.mapped_bytes) >> 10);
	assert_int_equal(kib_of(" KernelStack:"), heap.threads * FRAME_SIZE >> 10);
	assert_int_equal(kib_of(" Inactive:"), heap.free_frames * FRAME_SIZE >> 10);
	assert_int_equal(kib_of(" MemUsed:"),
			 kib_of(" Slab:") + kib_of(" AnonPages:") + kib_of(" KernelStack:"));
	assert_int_equal(kib_of(" MemTotal:"), kib_of(" MemUsed:") + kib_of(" MemFree:"));
	kfree(small);
	kfree(run);
	kfree(mapped);
}

static void empty_slabs_shrink_away(void **state)
{
	static void *objects[3000];

	(void)state;
	for (unsigned int i = 0; i < 3000; i++)
		objects[i] = kmalloc(192);
	thread_flush_all(current_thread);
	/* Onto their slabs, which are the node's. */
	for (unsigned int i = 0; i < 3000; i++)
		slab_free_shared(virt_to_slab(objects[i]), objects[i]);
	assert_int_equal(store(FILE_OF("shrink"), "0"), EINVAL);
	assert_int_equal(store(FILE_OF("shrink"), "1\n"), 0);
	assert_int_equal(figure(FILE_OF("slabs")), 0);
	assert_string_equal(show(FILE_OF("shrink")), "");
}

/* A use after free: the mark of a free object is changed; or the slab's own words are. */
static void damage_is_found(void **state)
{
	static struct free_object *objects[1000];
	struct kmem_cache_cpu *cpu = thread_cpu(current_thread, kmalloc_cache(192)->cpu_offset);
	struct free_object is;
	uint64_t *word, bit;
	uint32_t index;
	char probe;

	(void)state;
	skip_if(!os_copy_memory(&probe, text, 1), "the kernel copies no memory");
	for (unsigned int i = 0; i < 1000; i++)
		objects[i] = kmalloc(192);
	assert_int_equal(store(FILE_OF("validate"), "1"), 0);
	for (unsigned int i = 0; i < 1000; i += 2)
		kfree(objects[i]);
	assert_int_equal(store(FILE_OF("validate"), "1"), 0);
	/* The sheaf has the first ones; this is in its slab. */
	is = *objects[998];
	index = slab_index(slab_of(objects[998]), objects[998]);
	word = slab_free_word(slab_of(objects[998]), index / 64);
	bit = UINT64_C(1) << index % 64;
	objects[998]->state.mark = 0;
	assert_int_equal(store(FILE_OF("validate"), "1\n"), EINVAL);
	*objects[998] = is;
	*word ^= bit;
	assert_int_equal(store(FILE_OF("validate"), "1\n"), EINVAL);
	/* So it may look for a while where its owner is interrupted. */
	cpu->local_lock = (uintptr_t)&probe;
	assert_int_equal(store(FILE_OF("validate"), "1\n"), 0);
	cpu->local_lock = (uintptr_t)current_thread;
	*word ^= bit;
	assert_int_equal(store(FILE_OF("validate"), "1\n"), 0);
	virt_to_slab(objects[998])->inuse++;
	assert_int_equal(store(FILE_OF("validate"), "1\n"), EINVAL);
	virt_to_slab(objects[998])->inuse--;
	assert_int_equal(store(FILE_OF("validate"), "1\n"), 0);
	for (unsigned int i = 1; i < 1000; i += 2)
		kfree(objects[i]);
	thread_flush_all(current_thread);
	assert_int_equal(store(FILE_OF("validate"), "1"), 0);
}

struct churner {
	_Atomic bool *stop;
	uint64_t seed;
};

static void *churn(void *arg)
{
	struct churner *me = arg;
	void *objects[500] = {NULL};

	while (!atomic_load(me->stop)) {
		unsigned int i = (unsigned int)random_below(&me->seed, 500);

		kfree(objects[i]);
		objects[i] = kmalloc(192);
		must(objects[i]);
	}
	for (unsigned int i = 0; i < 500; i++)
		kfree(objects[i]);
	return NULL;
}

/* Whatever the threads do: no damage is seen where there is none, and sums are sums. */
static void a_busy_heap_reads_well(void **state)
{
	_Atomic bool stop = false;
	struct churner churners[2] = {{&stop, 1}, {&stop, 2}};
	pthread_t threads[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		must(!pthread_create(&threads[i], NULL, churn, &churners[i]));
	for (uint64_t end = now_ms() + 500; now_ms() < end;) {
		const struct cache_snapshot *all = snapshot_cache(kmalloc_cache(192));

		assert_true(all->sum[FIGURE_OBJECTS] <= all->sum[FIGURE_TOTAL_OBJECTS]);
		assert_true(all->sum[FIGURE_PARTIAL] + all->sum[FIGURE_CPU_SLABS] <=
			    all->sum[FIGURE_SLABS]);
		assert_true(all->sum[FIGURE_OBJECTS] <= 1000 + 2 * 128);
		assert_int_equal(store(FILE_OF("validate"), "1"), 0);
		assert_int_equal(read_by(control_show, "slabinfo"), 0);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

static void knobs_hold_what_is_stored(void **state)
{
	(void)state;
	assert_string_equal(show(FILE_OF("min_partial")), "0\n");
	assert_int_equal(store(FILE_OF("min_partial"), "12\n"), 0);
	assert_string_equal(show(FILE_OF("min_partial")), "12\n");
	assert_int_equal(store(FILE_OF("min_partial"), "0"), 0);
	assert_string_equal(show(FILE_OF("remote_node_defrag_ratio")), "0\n");
	assert_int_equal(store(FILE_OF("remote_node_defrag_ratio"), "101"), ERANGE);
	assert_int_equal(store(FILE_OF("remote_node_defrag_ratio"), "30"), 0);
	assert_string_equal(show(FILE_OF("remote_node_defrag_ratio")), "30\n");
	assert_string_equal(show("kernel/slab/kmalloc-64/remote_node_defrag_ratio"), "0\n");
	assert_int_equal(store(FILE_OF("remote_node_defrag_ratio"), "0"), 0);
}

/* What is behind a NUL plays no part, as in the kernel. */
static void a_nul_ends_what_is_stored(void **state)
{
	static const char ratio[] = FILE_OF("remote_node_defrag_ratio"),
			  probe[] = "devices/system/node/probe";

	(void)state;
	assert_int_equal(control_store(ratio, strlen(ratio),
				       "44\n\0"
				       "5",
				       5),
			 0);
	assert_string_equal(show(ratio), "44\n");
	assert_int_equal(control_store(ratio, strlen(ratio), "100\0\0", 5), 0);
	assert_string_equal(show(ratio), "100\n");
	assert_int_equal(control_store(ratio, strlen(ratio),
				       "\0"
				       "5",
				       2),
			 EINVAL);
	assert_int_equal(control_store(probe, strlen(probe), "0 64M\n\0", 7), EEXIST);
}

static void *count_three(void *arg)
{
	cache_count(kmalloc_cache(192), ALLOC_SLOWPATH, 3);
	return arg;
}

static void events_are_summed_and_cleared(void **state)
{
	static char args[MAX_THREADS];

	(void)state;
	assert_string_equal(show(FILE_OF("alloc_slowpath")), "0\n");
	cache_count(kmalloc_cache(192), ALLOC_SLOWPATH, 3);
	assert_string_equal(show(FILE_OF("alloc_slowpath")), "0\n");
	assert_true(counters_start());
	run_threads(20, count_three, args, 1);
	assert_int_equal(store(FILE_OF("alloc_slowpath"), "0"), 0);
	run_threads(20, count_three, args, 1);
	assert_string_equal(show(FILE_OF("alloc_slowpath")), "60\n");
	assert_int_equal(store(FILE_OF("alloc_slowpath"), "1"), EINVAL);
	assert_int_equal(store(FILE_OF("free_slowpath"), "0"), 0);
	assert_string_equal(show(FILE_OF("alloc_slowpath")), "60\n");
	cache_forget(kmalloc_cache(192));
	assert_string_equal(show(FILE_OF("alloc_slowpath")), "0\n");
}

static void make_nothing(void *object)
{
	(void)object;
}

/* Names are made fit for files, and told apart. */
static void caches_come_and_go(void **state)
{
	struct cache_args args = {"a/b\n", 100, 16, CACHE_NO_MERGE, make_nothing};
	struct kmem_cache *s = cache_create(&args), *twin = cache_create(&args);

	(void)state;
	assert_int_equal(read_by(control_list, "kernel/slab"), 0);
	assert_non_null(strstr(text, "\nd 0555 a!b!\n"));
	assert_non_null(strstr(text, "\nd 0555 a!b!:1\n"));
	assert_string_equal(show("kernel/slab/a!b!/object_size"), "100\n");
	assert_string_equal(show("kernel/slab/a!b!:1/slab_size"), "128\n");
	assert_int_equal(strncmp(show("kernel/slab/a!b!/ctor"), "0x", 2), 0);
	cache_destroy(s);
	assert_string_equal(show("kernel/slab/a!b!/slab_size"), "128\n");
	assert_int_equal(read_by(control_stat, "kernel/slab/a!b!:1"), ENOENT);
	cache_destroy(twin);
	assert_int_equal(read_by(control_stat, "kernel/slab/a!b!"), ENOENT);
	args.name = "..";
	s = cache_create(&args);
	assert_int_equal(read_by(control_stat, "kernel/slab/!./objects"), 0);
	cache_destroy(s);
}

static void aliases_are_links(void **state)
{
	struct cache_args args = {"real", 5008, 16, 0, NULL};
	struct kmem_cache *s = cache_create(&args);

	(void)state;
	alias_add(s, "other");
	alias_add(s, "other");
	alias_add(s, "real");
	alias_add(s, "kmalloc-64");
	assert_int_equal(read_by(control_list, "kernel/slab"), 0);
	assert_non_null(strstr(text, "\nl 0777 other\n"));
	assert_null(strstr(strstr(text, "\nl 0777 other\n") + 1, "\nl"));
	assert_int_equal(read_by(control_stat, "kernel/slab/other"), 0);
	assert_string_equal(text, "l 0777 real\n");
	assert_int_equal(read_by(control_stat, "kernel/slab/other/order"), 0);
	assert_string_equal(text, "- 0400\n");
	assert_string_equal(show("kernel/slab/other/object_size"), "5008\n");
	assert_int_equal(read_by(control_list, "kernel/slab/other"), 0);
	alias_remove_all(s);
	assert_int_equal(read_by(control_stat, "kernel/slab/other"), ENOENT);
	for (unsigned int i = 0; i < NR_ALIASES + 10; i++) {
		char name[32];

		snprintf(name, sizeof(name), "alias %u", i);
		alias_add(s, name);
	}
	assert_int_equal(read_by(control_stat, "kernel/slab/alias 511"), 0);
	assert_int_equal(read_by(control_stat, "kernel/slab/alias 512"), ENOENT);
	alias_remove_all(s);
	cache_destroy(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_entry_is_as_it_is_listed),
		cmocka_unit_test(what_is_not_there_is_not_found),
		cmocka_unit_test(one_node_is_online_and_stays_so),
		cmocka_unit_test(figures_are_exact),
		cmocka_unit_test(memory_is_the_heaps),
		cmocka_unit_test(empty_slabs_shrink_away),
		cmocka_unit_test(damage_is_found),
		cmocka_unit_test(a_busy_heap_reads_well),
		cmocka_unit_test(knobs_hold_what_is_stored),
		cmocka_unit_test(a_nul_ends_what_is_stored),
		cmocka_unit_test(events_are_summed_and_cleared),
		cmocka_unit_test(caches_come_and_go),
		cmocka_unit_test(aliases_are_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
