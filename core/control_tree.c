/*
 * From a path to an attribute; directories, which are what the attributes' paths imply. Layer: control; see
 * control_tree.h.
 */
#include "control_tree.h"
#include "aliases.h"
#include "caches.h"
#include "report.h"

#include <errno.h>

/* The rest of a path. */
struct rest {
	const char *at, *end;
};

static struct rest next_component(struct rest *path)
{
	struct rest component;

	while (path->at < path->end && *path->at == '/')
		path->at++;
	component.at = path->at;
	while (path->at < path->end && *path->at != '/')
		path->at++;
	component.end = path->at;
	return component;
}

static bool is_last(struct rest path)
{
	return next_component(&path).at == path.end;
}

static bool component_is(struct rest c, const char *text, size_t n)
{
	return (size_t)(c.end - c.at) == n && __builtin_memcmp(c.at, text, n) == 0;
}

static bool same_name(const char *one, const char *other)
{
	return __builtin_strcmp(one, other) == 0;
}

/* No slash, nothing that a line of a listing couldn't hold, and no directory's own name. */
static void make_file_name(char *name)
{
	for (char *c = name; *c; c++) {
		if (*c == '/' || (unsigned char)*c < ' ' || *c == '\177')
			*c = '!';
	}
	if (same_name(name, ".") || same_name(name, ".."))
		name[0] = '!';
}

/* A slot may get another cache while its name is read: then that is the name, or part of it. */
racy_reader static bool plain_name(const struct kmem_cache *s, char name[CONTROL_NAME])
{
	struct text t = {0};

	if (!s->refcount)
		return false;
	text_add_cache_name(&t, s);
	if (t.len > ALIAS_NAME)
		t.len = ALIAS_NAME;
	__builtin_memcpy(name, t.buf, t.len);
	name[t.len] = '\0';
	make_file_name(name);
	return true;
}

bool control_cache_name(const struct kmem_cache *s, char name[CONTROL_NAME])
{
	char other[CONTROL_NAME];
	const struct kmem_cache *earlier;
	struct control_out out = {name, CONTROL_NAME - 1, 0};

	if (!plain_name(s, name))
		return false;
	for_each_cache(earlier, i)
	{
		if (earlier == s)
			return true;
		if (!plain_name(earlier, other) || !same_name(name, other))
			continue;
		out.len = __builtin_strlen(name);
		out_text(&out, ":");
		out_number(&out, (uint64_t)(s - user_caches));
		name[out.len] = '\0';
		return true;
	}
	return true;
}

static struct kmem_cache *find_cache(struct rest c)
{
	char name[CONTROL_NAME];
	struct kmem_cache *s;

	for_each_cache(s, i)
	{
		size_t n;

		/* The whole name takes a walk over all caches, and begins with the plain one. */
		if (!plain_name(s, name))
			continue;
		n = __builtin_strlen(name);
		if ((size_t)(c.end - c.at) < n || __builtin_memcmp(c.at, name, n) != 0)
			continue;
		if (control_cache_name(s, name) && component_is(c, name, __builtin_strlen(name)))
			return s;
	}
	return NULL;
}

/* An alias whose name no cache has. */
static struct kmem_cache *get_alias(uint32_t i, char name[CONTROL_NAME], bool *end)
{
	struct kmem_cache *s = alias_get(i, name, end);
	struct rest c;

	if (!s || !s->refcount)
		return NULL;
	name[ALIAS_NAME - 1] = '\0';
	make_file_name(name);
	c = (struct rest){name, name + __builtin_strlen(name)};
	return find_cache(c) ? NULL : s;
}

static struct kmem_cache *find_alias(struct rest c)
{
	char name[CONTROL_NAME];
	bool end = false;

	for (uint32_t i = 0; !end; i++) {
		struct kmem_cache *s = get_alias(i, name, &end);

		if (s && component_is(c, name, __builtin_strlen(name)))
			return s;
	}
	return NULL;
}

/* What a path has led to; its one cache, or its node, is looked up once. */
struct walk {
	struct control_target target;
	bool looked, is_alias;
};

static bool match_cache(struct walk *w, struct rest c)
{
	if (w->looked)
		return w->target.cache != NULL;
	w->looked = true;
	w->target.cache = find_cache(c);
	if (!w->target.cache) {
		w->target.cache = find_alias(c);
		w->is_alias = w->target.cache != NULL;
	}
	return w->target.cache != NULL;
}

/* `node` and a number as a listing writes it. */
static bool parse_node(struct rest c, uint32_t *node)
{
	const char *at = c.at + 4;

	if (c.end - c.at < 5 || c.end - c.at > 8 || __builtin_memcmp(c.at, "node", 4) != 0 ||
	    (*at == '0' && c.end - at > 1))
		return false;
	for (*node = 0; at < c.end && *at >= '0' && *at <= '9'; at++)
		*node = *node * 10 + (uint32_t)(*at - '0');
	return at == c.end && *node < MAX_NODES;
}

static bool match_node(struct walk *w, struct rest c)
{
	struct id_set possible;

	if (!parse_node(c, &w->target.node))
		return false;
	node_control_set(NODES_POSSIBLE, &possible);
	return id_set_has(&possible, w->target.node);
}

static bool match_component(struct walk *w, struct rest pattern, struct rest c)
{
	if (component_is(pattern, "@", 1))
		return match_cache(w, c);
	if (component_is(pattern, "node#", 5))
		return match_node(w, c);
	return component_is(c, pattern.at, (size_t)(pattern.end - pattern.at));
}

enum match { MATCH_NONE, MATCH_FILE, MATCH_DIRECTORY, MATCH_BELOW_FILE };

/* `left`: of the attribute's path, what the directory doesn't have. */
static enum match match_path(struct walk *w, const struct attribute *a, struct rest path,
			     struct rest *left)
{
	*left = (struct rest){a->path, a->path + __builtin_strlen(a->path)};
	while (!is_last(path)) {
		struct rest pattern = next_component(left);

		if (pattern.at == pattern.end)
			return MATCH_BELOW_FILE;
		if (!match_component(w, pattern, next_component(&path)))
			return MATCH_NONE;
	}
	return is_last(*left) ? MATCH_FILE : MATCH_DIRECTORY;
}

/* Finds what is at the path: MATCH_FILE sets *found. */
static enum match find(struct walk *w, struct rest path, const struct attribute **found)
{
	enum match best = MATCH_NONE;
	struct rest left;

	*w = (struct walk){0};
	for (const struct attribute *a = control_attributes; a->path; a++) {
		enum match m = match_path(w, a, path, &left);

		if (m == MATCH_NONE)
			continue;
		*found = a;
		best = m;
		if (m != MATCH_BELOW_FILE)
			break;
	}
	return best;
}

/* Is the path a symbolic link itself? */
static bool is_link(const struct walk *w, const struct attribute *a, struct rest path)
{
	struct rest pattern = {a->path, a->path + __builtin_strlen(a->path)}, last = pattern;

	for (; !is_last(path); next_component(&path))
		last = next_component(&pattern);
	return w->is_alias && component_is(last, "@", 1);
}

static int find_file(struct walk *w, const char *path, size_t len, const struct attribute **a)
{
	switch (find(w, (struct rest){path, path + len}, a)) {
	case MATCH_FILE:
		return 0;
	case MATCH_DIRECTORY:
		return EISDIR;
	case MATCH_BELOW_FILE:
		return ENOTDIR;
	case MATCH_NONE:
		break;
	}
	return ENOENT;
}

int control_show(const char *path, size_t len, struct control_out *out)
{
	const struct attribute *a;
	struct walk w;
	int error = find_file(&w, path, len, &a);

	if (!error && !a->show)
		error = EACCES;
	return error ? error : a->show(a, &w.target, out);
}

int control_store(const char *path, size_t len, const char *text, size_t text_len)
{
	const struct attribute *a;
	const char *end = __builtin_memchr(text, '\0', text_len);
	struct walk w;
	int error = find_file(&w, path, len, &a);

	if (!error && !a->store)
		error = EACCES;
	if (error || text_len == 0)
		return error;
	/* A text ends where C's do, as in the kernel. */
	return a->store(a, &w.target, text, end ? (size_t)(end - text) : text_len);
}

static void out_entry(struct control_out *out, char type, uint32_t mode)
{
	out_text_n(out, &type, 1);
	out_text(out, " ");
	out_mode(out, mode);
}

int control_stat(const char *path, size_t len, struct control_out *out)
{
	char name[CONTROL_NAME];
	const struct attribute *a;
	struct walk w;
	int error = find_file(&w, path, len, &a);

	if (error && error != EISDIR)
		return error;
	if (!is_link(&w, a, (struct rest){path, path + len})) {
		out_entry(out, error ? 'd' : '-', error ? 0555 : a->mode);
	} else {
		if (!control_cache_name(w.target.cache, name))
			return ENOENT;
		out_entry(out, 'l', 0777);
		out_text(out, " ");
		out_text(out, name);
	}
	out_text(out, "\n");
	return 0;
}

static void list_caches(struct control_out *out)
{
	char name[CONTROL_NAME];
	struct kmem_cache *s;
	bool end = false;

	for_each_cache(s, i)
	{
		if (!control_cache_name(s, name))
			continue;
		out_text(out, "d 0555 ");
		out_text(out, name);
		out_text(out, "\n");
	}
	for (uint32_t i = 0; !end; i++) {
		if (!get_alias(i, name, &end))
			continue;
		out_text(out, "l 0777 ");
		out_text(out, name);
		out_text(out, "\n");
	}
}

static void list_nodes(struct control_out *out)
{
	struct id_set possible;

	node_control_set(NODES_POSSIBLE, &possible);
	for (uint32_t node = 0; node < MAX_NODES; node++) {
		if (!id_set_has(&possible, node))
			continue;
		out_text(out, "d 0555 node");
		out_number(out, node);
		out_text(out, "\n");
	}
}

static void list_component(struct control_out *out, const struct attribute *a, struct rest name,
			   bool is_file)
{
	if (component_is(name, "@", 1)) {
		list_caches(out);
	} else if (component_is(name, "node#", 5)) {
		list_nodes(out);
	} else {
		out_entry(out, is_file ? '-' : 'd', is_file ? a->mode : 0555);
		out_text(out, " ");
		out_text_n(out, name.at, (size_t)(name.end - name.at));
		out_text(out, "\n");
	}
}

int control_list(const char *path, size_t len, struct control_out *out)
{
	struct rest where = {path, path + len}, left, name, last = {"", ""};
	const struct attribute *a;
	struct walk w;
	int error = find_file(&w, path, len, &a);

	if (error != EISDIR)
		return error ? error : ENOTDIR;
	for (a = control_attributes; a->path; a++) {
		if (match_path(&w, a, where, &left) != MATCH_DIRECTORY)
			continue;
		name = next_component(&left);
		/* What is in one directory stands together in the table. */
		if (!component_is(last, name.at, (size_t)(name.end - name.at)))
			list_component(out, a, name, is_last(left));
		last = name;
	}
	return 0;
}

int control_parse(const char *text, size_t len, uint64_t *value)
{
	size_t i = len && text[0] == '+';

	*value = 0;
	if (len > i && text[len - 1] == '\n')
		len--;
	if (i == len)
		return EINVAL;
	for (size_t k = i; k < len; k++) {
		if (text[k] < '0' || text[k] > '9')
			return EINVAL;
	}
	for (; i < len; i++) {
		uint64_t digit = (uint64_t)(text[i] - '0');

		if (*value > (UINT64_MAX - digit) / 10)
			return ERANGE;
		*value = *value * 10 + digit;
	}
	return 0;
}

bool control_is_word(const char *text, size_t len, const char *word)
{
	size_t n = __builtin_strlen(word);

	if (len && text[len - 1] == '\n')
		len--;
	return len == n && __builtin_memcmp(text, word, n) == 0;
}
