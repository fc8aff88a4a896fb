/*
 * Random numbers: splitmix64, which every seed starts equally well. Layer: tools. Called by the cases,
 * from handlers too: all state is the caller's.
 */
#include "conform.h"

void conform_random_seed(struct conform_random *r, uint64_t seed, uint64_t stream)
{
	r->state = seed + (stream + 1) * 0xd1342543de82ef95u;
	conform_random_next(r);
}

uint64_t conform_random_next(struct conform_random *r)
{
	uint64_t z = (r->state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

size_t conform_random_below(struct conform_random *r, size_t n)
{
	return (size_t)(conform_random_next(r) % n);
}
