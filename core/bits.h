/*
 * How many bits of a word are set. Layer: os. Called by everything above.
 *
 * Not the compiler's builtin: where the machine may lack an instruction for it that is a call into the compiler's own
 * library, which looks bytes up in a table, and lies among what only few programs run through.
 */
#ifndef USLUB_BITS_H
#define USLUB_BITS_H

#include <stdint.h>

static inline uint32_t count_bits(uint64_t word)
{
	word -= word >> 1 & UINT64_C(0x5555555555555555);
	word = (word & UINT64_C(0x3333333333333333)) + (word >> 2 & UINT64_C(0x3333333333333333));
	word = (word + (word >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	return (uint32_t)(word * UINT64_C(0x0101010101010101) >> 56);
}

#endif
