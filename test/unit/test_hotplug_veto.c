/*
 * Going online while the kernel refuses: the n-th call, for each n. The answer is a veto, nothing has changed, what was
 * made is used at the next try, and however often it is tried, nothing grows.
 */
#include "nodes.h"
#include "wrap_os.h"

#include "core/node_control.h"

#define TRIES 3000

static uint32_t calls, refused_call;

/* From the n-th call on all are refused, but those that give back. */
static bool refuse_from_nth(enum os_call call, const void *addr, size_t size)
{
	(void)addr;
	(void)size;
	return ++calls < refused_call || call == OS_UNMAP;
}

static bool refuse_only_nth(enum os_call call, const void *addr, size_t size)
{
	(void)call;
	(void)addr;
	(void)size;
	return ++calls != refused_call;
}

typedef bool (*refusal)(enum os_call call, const void *addr, size_t size);

static enum node_result try_online(uint32_t id, refusal how, uint32_t n)
{
	enum node_result result;

	calls = 0;
	refused_call = n;
	os_hook = how;
	result = node_online(id);
	os_hook = NULL;
	return result;
}

struct picture {
	struct id_set sets[5];
	size_t reserved;
};

static void look(struct picture *p)
{
	for (int i = 0; i < 5; i++)
		node_control_set((enum node_set)i, &p->sets[i]);
	p->reserved = frame_reserved();
}

/* Lines of /proc/self/maps and KiB of address space; the unit's own stdio allocates elsewhere, and little. */
struct space {
	size_t maps, kib;
};

static struct space space_now(void)
{
	static char line[4096];
	struct space s = {0, 0};
	unsigned long from, to;
	FILE *f = fopen("/proc/self/maps", "r");

	must(f);
	while (fgets(line, sizeof(line), f)) {
		must(sscanf(line, "%lx-%lx", &from, &to) == 2);
		s.maps++;
		s.kib += (to - from) / 1024;
	}
	fclose(f);
	return s;
}

static void check_same(const struct space *before, const struct space *after)
{
	must(after->maps <= before->maps + 4 && after->kib <= before->kib + 4096);
}

/* The node is of use: objects of it, small and large. */
static void use_node(uint32_t id)
{
	static const size_t sizes[] = {16, 1000, 32768, 300000};

	for (int i = 0; i < 4; i++) {
		void *p = kmalloc_node(sizes[i], true, node(id));

		must(is_on(p, id));
		memset(p, 1, sizes[i]);
		kfree(p);
	}
}

static void veto_each(refusal how, uint64_t size)
{
	uint32_t id = 10, vetoes = 0;

	for (uint32_t n = 1;; n++, id++) {
		struct picture before, after;
		enum node_result result;

		must(node_add(id, size) == NODE_DONE);
		look(&before);
		result = try_online(id, how, n);
		if (result == NODE_DONE && calls < n)
			break;
		if (result == NODE_VETOED) {
			vetoes++;
			look(&after);
			must(node_state(id) == NODE_OFFLINE && !kmalloc_find_node((int)id));
			must(!memcmp(&before, &after, sizeof(before)));
			must(try_online(id, how, UINT32_MAX) == NODE_DONE);
		}
		must(node_state(id) == NODE_ONLINE);
		use_node(id);
	}
	must(vetoes >= 2);
}

static void each_call_alone(void)
{
	veto_each(refuse_only_nth, 0);
}

static void each_call_alone_limited(void)
{
	veto_each(refuse_only_nth, 64 * MIB);
}

static void all_from_each_call_on(void)
{
	veto_each(refuse_from_nth, 0);
}

static void all_from_each_call_on_limited(void)
{
	veto_each(refuse_from_nth, 64 * MIB);
}

/* Thousands of tries, each refused at the n-th call. */
static void try_often(refusal how, uint64_t size)
{
	uint32_t id = 20;

	for (uint32_t n = 1;; n++, id++) {
		struct space before, after;

		must(node_add(id, size) == NODE_DONE);
		if (try_online(id, how, n) != NODE_VETOED) {
			if (calls < n)
				break;
			continue;
		}
		try_online(id, how, n);
		before = space_now();
		for (int i = 0; i < TRIES && node_state(id) != NODE_ONLINE; i++)
			must(try_online(id, how, n) != NODE_SAME);
		after = space_now();
		if (node_state(id) == NODE_ONLINE)
			continue;
		check_same(&before, &after);
		must(try_online(id, how, UINT32_MAX) == NODE_DONE);
		use_node(id);
	}
}

static void tried_often(void)
{
	try_often(refuse_from_nth, 0);
}

static void tried_often_limited(void)
{
	try_often(refuse_from_nth, 64 * MIB);
}

static bool refuse_small_maps(enum os_call call, const void *addr, size_t size)
{
	(void)addr;
	calls++;
	return call != OS_MAP || size > MIB || size <= sizeof(struct node);
}

/* Address space can be had, and a section's metadata, but not the maps of its slabs. */
static void maps_are_refused(void)
{
	struct space before, after;

	must(node_add(5, 64 * MIB) == NODE_DONE);
	os_hook = refuse_small_maps;
	must(node_online(5) == NODE_VETOED);
	before = space_now();
	for (int i = 0; i < TRIES; i++)
		must(node_online(5) == NODE_VETOED);
	after = space_now();
	os_hook = NULL;
	check_same(&before, &after);
	must(node_online(5) == NODE_DONE);
	use_node(5);
}

/* On, off, on, off, with objects that stay. */
static void on_and_off(void)
{
	struct space before, after;
	void *p[64];

	for (int i = 0; i < 64; i++)
		must(is_on(p[i] = kmalloc_node((size_t)i * 3000 + 1, false, node(1)), 1));
	for (int i = 0; i < 20; i++) {
		node_offline(1);
		poll_all();
		node_online(1);
		use_node(1);
	}
	before = space_now();
	for (int i = 0; i < TRIES; i++) {
		must(node_offline(1) == NODE_DONE);
		if (i % 3)
			poll_all();
		must(node_online(1) == NODE_DONE);
		use_node(1);
	}
	after = space_now();
	check_same(&before, &after);
	for (int i = 0; i < 64; i++)
		kfree(p[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_NODES(each_call_alone, 2, "", "", "0/1"),
		ON_NODES(each_call_alone_limited, 2, "", "", "0/1"),
		ON_NODES(all_from_each_call_on, 2, "", "", "0/1"),
		ON_NODES(all_from_each_call_on_limited, 2, "", "", "0/1"),
		ON_NODES(tried_often, 2, "", "", "0/1"),
		ON_NODES(tried_often_limited, 2, "", "", "0/1"),
		ON_NODES(maps_are_refused, 2, "", "", "0/1"),
		ON_NODES(on_and_off, 2, "", "", "0/1"),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
