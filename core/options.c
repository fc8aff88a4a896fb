/*
 * Parsing the environment variable USLUB. Layer: os. Called by preload/init.c before main.
 *
 * One table says what there is: a key, where its value goes, and either the words it takes or, without
 * words, that it takes a number, or a size, which is kept in KiB, or any text.
 */
#include "options.h"
#include "os.h"
#include "text.h"

#define MAX_WORDS 4

struct options options = {
	.purge_delay_ms = 1000,
	.on_error = ON_ERROR_ABORT,
	.foreign = FOREIGN_FORWARD,
};

static const struct option {
	const char *key;
	uint32_t *value;
	const char *words[MAX_WORDS]; /* in the order of the enum */
	bool is_size;
	char *text; /* instead of value */
} table[] = {
	{"on_error", &options.on_error, {"abort", "report", "ignore"}, false, NULL},
	{"foreign", &options.foreign, {"forward", "report", "ignore"}, false, NULL},
	{"stats", &options.stats, {"0", "1"}, false, NULL},
	{"purge_delay", &options.purge_delay_ms, {NULL}, false, NULL},
	{"reserve", &options.reserve_kib, {NULL}, true, NULL},
	{"control", NULL, {NULL}, false, options.control},
};
#define NR_OPTIONS (sizeof(table) / sizeof(table[0]))

/* A piece of the environment's text. */
struct word {
	const char *s;
	size_t len;
};

static bool word_is(struct word w, const char *s)
{
	size_t i = 0;

	while (i < w.len && s[i] && w.s[i] == s[i])
		i++;
	return i == w.len && !s[i];
}

/* Levenshtein's distance, of the first 24 characters. */
static unsigned int distance(struct word w, const char *s)
{
	unsigned int row[25], n = w.len < 24 ? (unsigned int)w.len : 24;

	for (unsigned int i = 0; i <= n; i++)
		row[i] = i;
	for (unsigned int j = 0; s[j]; j++) {
		unsigned int diagonal = row[0];

		row[0] = j + 1;
		for (unsigned int i = 1; i <= n; i++) {
			unsigned int replace = diagonal + (w.s[i - 1] != s[j]);
			unsigned int other = (row[i] < row[i - 1] ? row[i] : row[i - 1]) + 1;

			diagonal = row[i];
			row[i] = replace < other ? replace : other;
		}
	}
	return row[n];
}

/* Of `count` words, reached by `get`, the one nearest to w. */
static const char *nearest(struct word w, const char *const *words, size_t stride, size_t count)
{
	const char *best = NULL;
	unsigned int least = ~0U;

	for (size_t i = 0; i < count; i++) {
		const char *s = *(const char *const *)((const char *)words + i * stride);
		unsigned int d = s ? distance(w, s) : ~0U;

		if (d < least) {
			least = d;
			best = s;
		}
	}
	return best;
}

static void complain(const char *what, struct word w, const char *key, const char *hint_text,
		     const char *hint)
{
	struct text line = {0};

	text_add(&line, "uslub: USLUB: ");
	text_add(&line, what);
	text_add(&line, " '");
	text_add_n(&line, w.s, w.len < 64 ? w.len : 64);
	text_add(&line, "'");
	if (key) {
		text_add(&line, " for ");
		text_add(&line, key);
	}
	text_add(&line, hint_text);
	text_add(&line, hint);
	text_write_line(&line, STDERR_FD);
}

static bool parse_number(struct word w, uint32_t *value)
{
	uint64_t n = 0;

	if (!w.len)
		return false;
	for (size_t i = 0; i < w.len; i++) {
		if (w.s[i] < '0' || w.s[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(w.s[i] - '0');
		if (n > UINT32_MAX)
			return false;
	}
	*value = (uint32_t)n;
	return true;
}

/* Bytes, or with a letter behind the number KiB, MiB or GiB; rounded up to KiB. */
static bool parse_size(struct word w, uint32_t *kib)
{
	static const char units[] = "KMG";
	const char *unit = w.len ? __builtin_strchr(units, w.s[w.len - 1]) : NULL;
	uint32_t n;
	uint64_t size;

	if (unit)
		w.len--;
	if (!parse_number(w, &n))
		return false;
	size = unit ? (uint64_t)n << (10 * (unit - units)) : ((uint64_t)n + 1023) / 1024;
	*kib = (uint32_t)size;
	return size <= UINT32_MAX;
}

static void set_number(const struct option *o, struct word value)
{
	uint32_t n;

	if (o->is_size ? parse_size(value, &n) : parse_number(value, &n))
		*o->value = n;
	else if (o->is_size)
		complain("bad size", value, o->key, ", it takes bytes, or a number and K, M or G",
			 "");
	else
		complain("bad number", value, o->key, ", it takes 0 to 4294967295", "");
}

static void set_text(const struct option *o, struct word value)
{
	if (!value.len || value.len >= sizeof(options.control)) {
		complain("no text of 1 to 255 bytes", value, o->key, "", "");
		return;
	}
	__builtin_memcpy(o->text, value.s, value.len);
	o->text[value.len] = '\0';
}

static void set_option(const struct option *o, struct word value)
{
	if (o->text) {
		set_text(o, value);
		return;
	}
	if (!o->words[0]) {
		set_number(o, value);
		return;
	}
	for (uint32_t i = 0; i < MAX_WORDS && o->words[i]; i++) {
		if (word_is(value, o->words[i])) {
			*o->value = i;
			return;
		}
	}
	complain("unknown value", value, o->key, ", the nearest is ",
		 nearest(value, o->words, sizeof(o->words[0]), MAX_WORDS));
}

static void parse_pair(struct word pair)
{
	struct word key = {pair.s, 0}, value;

	while (key.len < pair.len && pair.s[key.len] != ':')
		key.len++;
	for (size_t i = 0; i < NR_OPTIONS; i++) {
		if (!word_is(key, table[i].key))
			continue;
		if (key.len == pair.len) {
			complain("no value for", key, NULL, ", write it as key:value", "");
			return;
		}
		value.s = key.s + key.len + 1;
		value.len = pair.len - key.len - 1;
		set_option(&table[i], value);
		return;
	}
	complain("unknown key", key, NULL, ", the nearest is ",
		 nearest(key, &table[0].key, sizeof(table[0]), NR_OPTIONS));
}

void options_parse(const char *text)
{
	while (*text) {
		struct word pair = {text, 0};

		while (text[pair.len] && text[pair.len] != ',')
			pair.len++;
		if (pair.len)
			parse_pair(pair);
		text += pair.len;
		if (*text)
			text++;
	}
}

void options_note(const char *what)
{
	struct text line = {0};

	text_add(&line, "uslub: USLUB: ");
	text_add(&line, what);
	text_write_line(&line, STDERR_FD);
}
