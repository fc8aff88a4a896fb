/* Stamps; see objects.h. */
#include "objects.h"

#include <stdatomic.h>

#include "check.h"

#define WORD sizeof(uint64_t)
#define EDGE ((size_t)512)

static size_t next_place(size_t size, size_t at)
{
	size_t step = size <= ((size_t)1 << 20) ? 4096 : 65536;
	size_t last = size > EDGE ? (size - EDGE) & ~(WORD - 1) : 0;

	if (at + WORD < EDGE || at >= last)
		return at + WORD;
	at = (at / step + 1) * step;
	return at < last ? at : last;
}

static uint64_t stamp_at(uint64_t id, size_t at)
{
	uint64_t x = (id << 32 | (uint64_t)at / WORD) * UINT64_C(0x9e3779b97f4a7c15);

	return x ^ x >> 29 ^ id;
}

static size_t stamp_len(size_t size, size_t at)
{
	return size - at < WORD ? size - at : WORD;
}

void object_stamp(struct object *o, void *p, size_t size)
{
	static _Atomic uint64_t last_id;

	*o = (struct object){p, size, atomic_fetch_add(&last_id, 1) + 1};
	for (size_t at = 0; at < size; at = next_place(size, at)) {
		uint64_t stamp = stamp_at(o->id, at);

		memcpy(o->p + at, &stamp, stamp_len(size, at));
	}
}

void object_check_moved(const struct object *o, const unsigned char *p, size_t kept)
{
	for (size_t at = 0; at < o->size && at < kept; at = next_place(o->size, at)) {
		uint64_t stamp = stamp_at(o->id, at);
		size_t len = stamp_len(o->size < kept ? o->size : kept, at);

		CHECK_THAT(!memcmp(p + at, &stamp, len),
			   "object %llu of %zu bytes at %p: wrong content at offset %zu",
			   (unsigned long long)o->id, o->size, (const void *)p, at);
	}
}

void object_check(const struct object *o)
{
	object_check_moved(o, o->p, o->size);
}

bool object_is_zero(const unsigned char *p, size_t size)
{
	static const unsigned char zero[WORD];

	for (size_t at = 0; at < size; at = next_place(size, at)) {
		if (memcmp(p + at, zero, stamp_len(size, at)))
			return false;
	}
	return true;
}
