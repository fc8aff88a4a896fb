// SPDX-License-Identifier: MIT
/*
 * What live objects cost in resident memory, and what is left of it once they are freed. Run by
 * bench/compare memory.
 */
#include "sizes.h"

#define MS ((uint64_t)1000000)

static size_t base, faults;

static size_t grown(void)
{
	size_t rss = rss_bytes();

	return rss > base ? rss - base : 0;
}

static void begin(void)
{
	meet_malloc();
	base = rss_bytes();
	faults = page_faults();
}

static void objects(size_t count, size_t size)
{
	void **table = bench_map(count * sizeof(void *));

	begin();
	for (size_t i = 0; i < count; i++)
		table[i] = new_object(size);
	say("live %zu\n", count * size);
	say("rss %zu\n", grown());
	say("faults %zu\n", page_faults() - faults);
}

static void shuffle(void **table, size_t count, uint64_t *random)
{
	for (size_t i = count; i > 1; i--) {
		size_t other = random_below(random, i);
		void *p = table[i - 1];

		table[i - 1] = table[other];
		table[other] = p;
	}
}

static size_t build(void **table, size_t room, size_t bytes, uint64_t *random, size_t *live)
{
	static const enum mix kinds[] = {MIX_TEXT, MIX_RECORDS, MIX_NODES, MIX_BUFFERS};
	size_t count = 0;

	for (*live = 0; *live < bytes && count < room;) {
		size_t size = draw_size(kinds[*live * 8 / bytes % 4], random);

		table[count++] = new_object(size);
		*live += size;
	}
	return count;
}

/* Waits, as a program that is idle, or as one that goes on with little. */
static void pass_time(uint64_t until, bool active, uint64_t *random)
{
	if (!active) {
		sleep_until_ns(until);
		return;
	}
	while (now_ns() < until) {
		void *few[16];

		for (size_t i = 0; i < 16; i++)
			few[i] = new_object(draw_size(MIX_ALL, random));
		for (size_t i = 0; i < 16; i++)
			free(few[i]);
		sleep_until_ns(now_ns() + MS);
	}
}

/* @keep objects of each thousand stay, wherever they lie. */
static void peak(size_t bytes, bool active, size_t keep, uint64_t seed)
{
	size_t room = bytes / 32, live, count, kept;
	void **table = bench_map(room * sizeof(void *));
	uint64_t random = seed, freed_at;

	begin();
	count = build(table, room, bytes, &random, &live);
	say("live %zu\n", live);
	say("peak %zu\n", grown());
	shuffle(table, count, &random);
	kept = count * keep / 1000;
	for (size_t i = kept; i < count; i++)
		free(table[i]);
	freed_at = now_ns();
	say("after 0 %zu\n", grown());
	for (uint64_t second = 1; second <= 2; second++) {
		pass_time(freed_at + second * 1000 * MS + 100 * MS, active, &random);
		say("after %zu %zu\n", (size_t)second, grown());
	}
	say("faults %zu\n", page_faults() - faults);
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "objects") == 0)
		objects(number(argv[2], "COUNT"), number(argv[3], "SIZE"));
	else if (argc == 6 && strcmp(argv[1], "peak") == 0)
		peak(number(argv[2], "MIB") * MIB, strcmp(argv[3], "active") == 0,
		     number(argv[4], "KEEP"), number(argv[5], "SEED"));
	else
		die("usage: footprint objects COUNT SIZE\n"
		    "       footprint peak MIB silent|active KEEP SEED\n");
	return 0;
}
