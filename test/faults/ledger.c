/* Ranges of addresses; see ledger.h. */
#include "ledger.h"

#include "check.h"

static struct range range_of(const void *addr, size_t size)
{
	struct range r = {(uintptr_t)addr, (uintptr_t)addr + size};

	CHECK_THAT(r.end > r.start, "a range of %zu bytes at %p", size, addr);
	return r;
}

/* The first range that ends at or above `addr`. */
static size_t first_from(const struct ledger *l, uintptr_t addr)
{
	size_t i = 0;

	while (i < l->count && l->ranges[i].end < addr)
		i++;
	return i;
}

static void insert(struct ledger *l, size_t i, struct range r)
{
	CHECK(l->count < LEDGER_RANGES);
	memmove(&l->ranges[i + 1], &l->ranges[i], (l->count - i) * sizeof(r));
	l->ranges[i] = r;
	l->count++;
}

static void erase(struct ledger *l, size_t i)
{
	l->count--;
	memmove(&l->ranges[i], &l->ranges[i + 1], (l->count - i) * sizeof(l->ranges[0]));
}

void ledger_fill(struct ledger *l, const void *addr, size_t size)
{
	struct range r = range_of(addr, size);
	size_t i = first_from(l, r.start);

	while (i < l->count && l->ranges[i].start <= r.end) {
		if (l->ranges[i].start < r.start)
			r.start = l->ranges[i].start;
		if (l->ranges[i].end > r.end)
			r.end = l->ranges[i].end;
		erase(l, i);
	}
	insert(l, i, r);
}

void ledger_clear(struct ledger *l, const void *addr, size_t size)
{
	struct range r = range_of(addr, size);
	size_t i = first_from(l, r.start + 1);

	while (i < l->count && l->ranges[i].start < r.end) {
		struct range old = l->ranges[i];

		erase(l, i);
		if (old.start < r.start)
			insert(l, i++, (struct range){old.start, r.start});
		if (old.end > r.end)
			insert(l, i++, (struct range){r.end, old.end});
	}
}

size_t ledger_overlap(const struct ledger *l, const void *addr, size_t size)
{
	struct range r = range_of(addr, size);
	size_t bytes = 0;

	for (size_t i = first_from(l, r.start + 1); i < l->count; i++) {
		uintptr_t start = l->ranges[i].start, end = l->ranges[i].end;

		if (start >= r.end)
			break;
		bytes += (end < r.end ? end : r.end) - (start > r.start ? start : r.start);
	}
	return bytes;
}

void ledger_need(const struct ledger *l, const char *what, const void *addr, size_t size)
{
	CHECK_THAT(ledger_overlap(l, addr, size) == size,
		   "%s: %zu bytes at %p are not, or not all, the heap's", what, size, addr);
}

void ledger_add(struct ledger *l, const char *what, const void *addr, size_t size)
{
	CHECK_THAT(!ledger_overlap(l, addr, size), "%s: %zu bytes at %p lie over the heap's", what,
		   size, addr);
	ledger_fill(l, addr, size);
}

void ledger_remove(struct ledger *l, const char *what, const void *addr, size_t size)
{
	ledger_need(l, what, addr, size);
	ledger_clear(l, addr, size);
}

size_t ledger_bytes(const struct ledger *l)
{
	size_t bytes = 0;

	for (size_t i = 0; i < l->count; i++)
		bytes += l->ranges[i].end - l->ranges[i].start;
	return bytes;
}
