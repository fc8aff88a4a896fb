/*
 * What the C library allocates for its callers comes through the preloaded malloc.
 * Run with foreign:report, a block of glibc's own would be reported at its free.
 */
#include <malloc.h>
#include <wchar.h>

#include "check.h"

/* As much as our malloc would have given, not what glibc's has in its header. */
static void give_back(void *p, size_t n)
{
	void *like = malloc(n);

	CHECK(p && like);
	CHECK(malloc_usable_size(p) == malloc_usable_size(like));
	free(like);
	p = realloc(p, n + 5000);
	CHECK(p);
	free(p);
}

static void strings(void)
{
	char *formatted = NULL;
	wchar_t *wide = wcsdup(L"wide and long enough");

	give_back(strdup("a string to copy"), 17);
	give_back(strndup("a string to copy", 8), 9);
	CHECK(asprintf(&formatted, "%d %s", 12345, "and a word") == 16);
	CHECK(strcmp(formatted, "12345 and a word") == 0);
	free(formatted);
	CHECK(wide && wcslen(wide) == 20);
	free(wide);
}

static void arrays(void)
{
	int *p = reallocarray(NULL, 25, sizeof(*p));

	CHECK(p);
	for (int i = 0; i < 25; i++)
		p[i] = i;
	p = reallocarray(p, 10000, sizeof(*p));
	CHECK(p);
	for (int i = 0; i < 25; i++)
		CHECK(p[i] == i);
	errno = 0;
	CHECK(!reallocarray(opaque(p), opaque_size(SIZE_MAX / 2), 4) && errno == ENOMEM);
	give_back(p, 10000 * sizeof(*p));
}

static void streams(void)
{
	char *text = NULL;
	char *line = NULL;
	size_t len = 0, room = 0;
	FILE *out = open_memstream(&text, &len);
	FILE *in;

	CHECK(out);
	for (int i = 0; i < 10000; i++)
		fprintf(out, "line %d\n", i);
	CHECK(fclose(out) == 0 && text && len == strlen(text));
	in = fmemopen(text, len, "r");
	CHECK(in);
	for (int i = 0; i < 10000; i++)
		CHECK(getline(&line, &room, in) > 0 && atoi(line + 5) == i);
	fclose(in);
	free(line);
	free(text);
}

static void paths(void)
{
	char *here = getcwd(NULL, 0);
	char *real = realpath("/proc/self/..", NULL);

	CHECK(here && real && strcmp(real, "/proc") == 0);
	give_back(real, malloc_usable_size(real));
	free(here);
}

int main(void)
{
	strings();
	arrays();
	streams();
	paths();
	puts("libc_users: ok");
	return 0;
}
