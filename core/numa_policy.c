/*
 * The words for where memory is to come from. Layer: os; see numa_policy.h. Called by options and the control files.
 */
#include "numa_policy.h"
#include "bits.h"

static const struct policy_word {
	const char *word;
	enum policy_mode mode;
	uint32_t least, most; /* nodes */
} words[] = {
	{"local", POLICY_LOCAL, 0, 0},
	{"preferred", POLICY_PREFERRED, 1, 1},
	{"bind", POLICY_BIND, 1, MAX_NODES},
	{"interleave", POLICY_INTERLEAVE, 0, MAX_NODES},
};
#define NR_WORDS (sizeof(words) / sizeof(words[0]))

static const struct policy_word *find_word(const char *text, size_t len)
{
	for (size_t i = 0; i < NR_WORDS; i++) {
		if (__builtin_strlen(words[i].word) == len &&
		    __builtin_memcmp(words[i].word, text, len) == 0)
			return &words[i];
	}
	return NULL;
}

static uint32_t count(const struct id_set *set)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < MAX_NODES / 64; i++)
		n += count_bits(set->bits[i]);
	return n;
}

bool policy_parse(const char *text, size_t len, enum policy_mode *mode, struct id_set *nodes)
{
	const struct policy_word *word;
	struct id_set named = {.bits = {0}};
	size_t n = 0;

	while (n < len && text[n] != ':')
		n++;
	word = find_word(text, n);
	if (n < len && !id_set_parse_strictly(&named, text + n + 1, len - n - 1, ',', MAX_NODES))
		return false;
	if (!word || count(&named) < word->least || count(&named) > word->most)
		return false;
	*mode = word->mode;
	*nodes = named;
	return true;
}
