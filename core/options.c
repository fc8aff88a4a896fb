/*
 * Parsing the environment variable USLUB. Layer: os. Called by preload/init.c before main.
 *
 * One table says what there is: a key, what it takes, and where its value goes.
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

enum takes {
	TAKES_WORD,   /* one of `words`, in the order of the enum */
	TAKES_NUMBER, /* up to `most` */
	TAKES_SIZE,   /* which is kept in KiB */
	TAKES_TEXT,
	TAKES_POLICY, /* a word, and a list of nodes with commas in it, which goes to `text` */
};

static const struct option {
	const char *key;
	enum takes takes;
	uint32_t most;
	uint32_t *value;
	char *text; /* OPTION_TEXT */
	const char *words[MAX_WORDS];
} table[] = {
	{"on_error", TAKES_WORD, 0, &options.on_error, NULL, {"abort", "report", "ignore"}},
	{"foreign", TAKES_WORD, 0, &options.foreign, NULL, {"forward", "report", "ignore"}},
	{"stats", TAKES_WORD, 0, &options.stats, NULL, {"0", "1"}},
	{"purge_delay", TAKES_NUMBER, UINT32_MAX, &options.purge_delay_ms, NULL, {NULL}},
	{"reserve", TAKES_SIZE, 0, &options.reserve_kib, NULL, {NULL}},
	{"control", TAKES_TEXT, 0, NULL, options.control, {NULL}},
	{"nodes", TAKES_NUMBER, MAX_NODES, &options.nodes, NULL, {NULL}},
	{"distance", TAKES_TEXT, 0, NULL, options.distance, {NULL}},
	{"node_size", TAKES_TEXT, 0, NULL, options.node_sizes, {NULL}},
	{"node_cpus", TAKES_TEXT, 0, NULL, options.node_cpus, {NULL}},
	{"policy", TAKES_POLICY, 0, &options.policy, options.policy_nodes, {NULL}},
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
	struct text most = {0};
	uint32_t n;

	if (parse_number(value, &n) && n <= o->most) {
		*o->value = n;
		return;
	}
	text_add_number(&most, o->most);
	most.buf[most.len] = '\0';
	complain("bad number", value, o->key, ", it takes 0 to ", most.buf);
}

static void set_size(const struct option *o, struct word value)
{
	uint32_t kib;

	if (parse_size(value, &kib))
		*o->value = kib;
	else
		complain("bad size", value, o->key, ", it takes bytes, or a number and K, M or G",
			 "");
}

static bool set_text(const struct option *o, struct word value)
{
	if (value.len >= OPTION_TEXT)
		return false;
	__builtin_memcpy(o->text, value.s, value.len);
	o->text[value.len] = '\0';
	return true;
}

static bool set_policy(const struct option *o, struct word value)
{
	struct word list = value;
	struct id_set nodes;
	enum policy_mode mode;

	if (!policy_parse(value.s, value.len, &mode, &nodes))
		return false;
	while (list.len && *list.s++ != ':')
		list.len--;
	list.len -= list.len != 0;
	if (!set_text(o, list))
		return false;
	*o->value = mode;
	return true;
}

static void set_word(const struct option *o, struct word value)
{
	for (uint32_t i = 0; i < MAX_WORDS && o->words[i]; i++) {
		if (word_is(value, o->words[i])) {
			*o->value = i;
			return;
		}
	}
	complain("unknown value", value, o->key, ", the nearest is ",
		 nearest(value, o->words, sizeof(o->words[0]), MAX_WORDS));
}

static void set_option(const struct option *o, struct word value)
{
	switch (o->takes) {
	case TAKES_WORD:
		set_word(o, value);
		break;
	case TAKES_NUMBER:
		set_number(o, value);
		break;
	case TAKES_SIZE:
		set_size(o, value);
		break;
	case TAKES_TEXT:
		if (!value.len || !set_text(o, value))
			complain("no text of 1 to 255 bytes", value, o->key, "", "");
		break;
	case TAKES_POLICY:
		if (!set_policy(o, value))
			complain("bad value", value, o->key,
				 ", it takes local, preferred:0, bind:0,2-3, interleave or "
				 "interleave:0,2-3",
				 "");
		break;
	}
}

static struct word key_of(struct word pair)
{
	struct word key = {pair.s, 0};

	while (key.len < pair.len && pair.s[key.len] != ':')
		key.len++;
	return key;
}

static const struct option *find_option(struct word key)
{
	for (size_t i = 0; i < NR_OPTIONS; i++) {
		if (word_is(key, table[i].key))
			return &table[i];
	}
	return NULL;
}

static void parse_pair(struct word pair)
{
	struct word key = key_of(pair);
	const struct option *o = find_option(key);

	if (!o)
		complain("unknown key", key, NULL, ", the nearest is ",
			 nearest(key, &table[0].key, sizeof(table[0]), NR_OPTIONS));
	else if (key.len == pair.len)
		complain("no value for", key, NULL, ", write it as key:value", "");
	else
		set_option(o, (struct word){key.s + key.len + 1, pair.len - key.len - 1});
}

/* Of the list that goes on at a comma: the comma, digits and '-'; 0: something else comes. */
static size_t list_length(const char *text)
{
	size_t n = *text == ',';

	while (n && ((text[n] >= '0' && text[n] <= '9') || text[n] == '-'))
		n++;
	return n > 1 && (text[n] == ',' || !text[n]) ? n : 0;
}

/* What stands before the next comma that is no part of a list. */
static struct word next_pair(const char *text)
{
	struct word pair = {text, 0};
	const struct option *o;
	size_t more;

	while (text[pair.len] && text[pair.len] != ',')
		pair.len++;
	o = find_option(key_of(pair));
	while (o && o->takes == TAKES_POLICY && (more = list_length(text + pair.len)))
		pair.len += more;
	return pair;
}

void options_parse(const char *text)
{
	while (*text) {
		struct word pair = next_pair(text);

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
