/*
 * The machine's nodes, as sysfs shows them. Layer: numa_topology; see numa_topology.h. Called by numa.
 *
 * Nothing here trusts what a file says: it may be of another kernel, of a container that shows half of it, or change
 * between two reads. What can't be understood is left out.
 */
#include "numa_topology.h"
#include "os.h"
#include "os_file.h"
#include "os_numa.h"
#include "text.h"

/* Of the longest file: more than any kernel writes of MAX_IDS cpus. In a mapping, for stacks are small here. */
#define FILE_SIZE ((size_t)64 << 10)

struct reader {
	const char *sysfs;
	char *buf;	 /* FILE_SIZE */
	const char *end; /* of what has been read into it */
};

/* False: it is empty, or can't be read. */
static bool read_path(struct reader *r, struct text *path)
{
	long n;

	if (path->len == sizeof(path->buf))
		return false;
	path->buf[path->len] = '\0';
	n = os_read_file(path->buf, r->buf, FILE_SIZE);
	r->end = r->buf + (n > 0 ? n : 0);
	return n > 0;
}

static bool read_file(struct reader *r, const char *name)
{
	struct text path = {0};

	text_add(&path, r->sysfs);
	text_add(&path, "/");
	text_add(&path, name);
	return read_path(r, &path);
}

static bool read_node_file(struct reader *r, uint32_t node, const char *name)
{
	struct text path = {0};

	text_add(&path, r->sysfs);
	text_add(&path, "/node");
	text_add_number(&path, node);
	text_add(&path, "/");
	text_add(&path, name);
	return read_path(r, &path);
}

static bool read_set(struct reader *r, const char *name, struct id_set *set)
{
	if (!read_file(r, name))
		return false;
	id_set_parse(set, r->buf, (size_t)(r->end - r->buf));
	return true;
}

static bool is_empty(const struct id_set *set)
{
	return id_set_next(set, 0) == MAX_IDS;
}

/* Leaves in `set` what is in `other`, if that is anything. */
static void intersect(struct id_set *set, const uint64_t *other, uint32_t words)
{
	uint64_t common = 0;

	for (uint32_t i = 0; i < words; i++)
		common |= set->bits[i] & other[i];
	for (uint32_t i = 0; common && i < MAX_IDS / 64; i++)
		set->bits[i] &= i < words ? other[i] : 0;
}

/* Goes to the next number in what has been read; one that is too large reads as the largest. False: no more. */
static bool next_number(const struct reader *r, const char **at, uint64_t *value)
{
	while (*at < r->end && (**at < '0' || **at > '9'))
		++*at;
	if (*at == r->end)
		return false;
	for (*value = 0; *at < r->end && **at >= '0' && **at <= '9'; ++*at) {
		if (__builtin_mul_overflow(*value, 10U, value) ||
		    __builtin_add_overflow(*value, (uint64_t)(**at - '0'), value))
			*value = UINT64_MAX;
	}
	return true;
}

/* `distance` has a number for each node that is online. With another count it is of another time. */
static void read_distances(struct reader *r, struct numa_topology *t, const struct id_set *online,
			   uint32_t from)
{
	uint32_t to = id_set_next(online, 0), columns = 0;
	const char *at = r->buf;
	uint64_t value;

	if (!read_node_file(r, from, "distance"))
		return;
	for (uint32_t node = to; node < MAX_IDS; node = id_set_next(online, node + 1))
		columns++;
	while (next_number(r, &at, &value))
		columns--;
	if (columns != 0)
		return;
	at = r->buf;
	for (; to < MAX_IDS && next_number(r, &at, &value); to = id_set_next(online, to + 1)) {
		if (to != from && value >= LOCAL_DISTANCE && value <= UINT8_MAX)
			t->distance[from][to] = (uint8_t)value;
	}
}

static void read_cpus(struct reader *r, struct numa_topology *t, uint32_t node)
{
	struct id_set *cpus = &t->cpus[node];

	if (!read_node_file(r, node, "cpulist"))
		return;
	id_set_parse(cpus, r->buf, (size_t)(r->end - r->buf));
	for (uint32_t cpu = id_set_next(cpus, 0); cpu < MAX_IDS; cpu = id_set_next(cpus, cpu + 1)) {
		/* Each is of one node; sysfs can be read while one goes from here to there. */
		if (t->cpu_node[cpu] == NO_NODE)
			t->cpu_node[cpu] = (uint16_t)node;
		else
			cpus->bits[cpu / 64] &= ~((uint64_t)1 << cpu % 64);
	}
}

/* Node 0 MemTotal:       24684092 kB */
static void read_size(struct reader *r, struct numa_topology *t, uint32_t node)
{
	static const char name[] = "MemTotal:";
	const char *at = r->buf;
	uint64_t kib;

	if (!read_node_file(r, node, "meminfo"))
		return;
	while (r->end - at >= (long)sizeof(name) &&
	       __builtin_memcmp(at, name, sizeof(name) - 1) != 0)
		at++;
	if (r->end - at >= (long)sizeof(name) && next_number(r, &at, &kib) &&
	    kib <= UINT64_MAX / 1024)
		t->size[node] = kib * 1024;
}

static void read_nodes(struct reader *r, struct numa_topology *t, const struct id_set *online)
{
	const struct id_set *possible = &t->possible;

	for (uint32_t n = id_set_next(possible, 0); n < MAX_NODES;
	     n = id_set_next(possible, n + 1)) {
		t->real[n] = (uint16_t)n;
		__builtin_memset(t->distance[n], REMOTE_DISTANCE, MAX_NODES);
		t->distance[n][n] = LOCAL_DISTANCE;
		if (!id_set_has(online, n))
			continue;
		read_distances(r, t, online, n);
		read_cpus(r, t, n);
		read_size(r, t, n);
	}
}

/* The cpus of a machine that has one node: those online, or that this thread may run on, or any. */
static void read_all_cpus(struct reader *r, struct id_set *cpus)
{
	const char *slash = __builtin_strrchr(r->sysfs, '/');
	struct text path = {0};
	struct os_cpus allowed;

	text_add_n(&path, r->sysfs, slash ? (size_t)(slash - r->sysfs) : 0);
	text_add(&path, slash ? "/cpu/online" : "cpu/online");
	if (r->buf && read_path(r, &path))
		id_set_parse(cpus, r->buf, (size_t)(r->end - r->buf));
	if (is_empty(cpus) && os_allowed_cpus(&allowed))
		__builtin_memcpy(cpus->bits, allowed.bits, sizeof(allowed.bits));
	if (is_empty(cpus))
		id_set_add(cpus, 0);
}

/* All is its, and so are cpus that come later. */
static void make_one_node(struct reader *r, struct numa_topology *t, uint32_t node)
{
	id_set_add(&t->possible, node);
	id_set_add(&t->memory, node);
	read_all_cpus(r, &t->cpus[node]);
	/* Zero is what it is already, and untouched. */
	for (uint32_t cpu = 0; node != 0 && cpu < MAX_IDS; cpu++)
		t->cpu_node[cpu] = (uint16_t)node;
	t->real[node] = (uint16_t)node;
	t->size[node] = os_memory_size();
	t->distance[node][node] = LOCAL_DISTANCE;
}

/* Memory and what is online of several possible nodes. False: there is none. */
static bool read_sets(struct reader *r, struct numa_topology *t, struct id_set *online)
{
	struct os_nodes allowed;

	t->unsure = !read_set(r, "online", online);
	t->unsure |= !read_set(r, "has_memory", &t->memory);
	for (uint32_t i = 0; i < MAX_IDS / 64; i++) {
		if (i >= MAX_NODES / 64)
			online->bits[i] = 0;
		t->possible.bits[i] |= online->bits[i];
		t->memory.bits[i] &= t->possible.bits[i];
	}
	if (is_empty(online))
		*online = t->possible;
	if (is_empty(&t->memory))
		t->memory = *online;
	if (os_allowed_nodes(&allowed))
		intersect(&t->memory, allowed.bits, OS_NODE_WORDS);
	return !is_empty(&t->possible);
}

static bool read_machine(struct reader *r, struct numa_topology *t)
{
	struct id_set online = {.bits = {0}};
	uint32_t first;

	read_set(r, "possible", &t->possible);
	for (uint32_t i = MAX_NODES / 64; i < MAX_IDS / 64; i++)
		t->possible.bits[i] = 0;
	first = id_set_next(&t->possible, 0);
	/* As most have it. Each file costs every start of a program some microseconds: no more are read. */
	if (first < MAX_NODES && id_set_next(&t->possible, first + 1) == MAX_IDS) {
		make_one_node(r, t, first);
		return true;
	}
	if (!read_sets(r, t, &online))
		return false;
	__builtin_memset(t->cpu_node, 0xff, sizeof(t->cpu_node));
	read_nodes(r, t, &online);
	return true;
}

bool numa_topology_read(struct numa_topology *t, const char *sysfs)
{
	struct reader r = {sysfs, os_map(FILE_SIZE), NULL};
	bool read;

	__builtin_memset(t->real, 0xff, sizeof(t->real));
	read = r.buf && read_machine(&r, t);
	if (!read)
		make_one_node(&r, t, 0);
	if (r.buf)
		os_unmap(r.buf, FILE_SIZE);
	return read;
}
