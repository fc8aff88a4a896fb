/*
 * The results as lines for people and as JSON. Layer: tools. Called by command.c.
 */
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "runner.h"

const char *word_name(enum word word)
{
	static const char *const names[NR_WORDS] = {
		[WORD_PASS] = "pass",	       [WORD_HANG] = "hang", [WORD_CRASH] = "crash",
		[WORD_CORRUPT] = "corrupt",    [WORD_FAIL] = "fail", [WORD_UNABLE] = "unable",
		[WORD_ABSENT] = "not offered",
	};

	return names[word];
}

static void first_line(const char *text)
{
	printf("  %.*s", (int)strcspn(text, "\n"), text);
}

static void print_notes(const char *notes)
{
	const char *separator = "  ";

	while (*notes) {
		size_t length = strcspn(notes, "\n");

		printf("%s%.*s", separator, (int)length, notes);
		separator = ", ";
		notes += length + (notes[length] == '\n');
	}
}

void report_line(const struct result *r)
{
	char word[32];

	if (r->word == WORD_CRASH)
		snprintf(word, sizeof(word), "crash (SIG%s)", sigabbrev_np(r->signal));
	else
		snprintf(word, sizeof(word), "%s", word_name(r->word));
	printf("%-28s %-15s %6.2f s", r->c->name, word, r->seconds);
	if (r->word == WORD_PASS)
		print_notes(r->notes);
	else if (*r->output)
		first_line(r->output);
	printf("\n");
	fflush(stdout);
}

void report_total(const size_t *counts, double seconds)
{
	size_t judged = 0;

	for (int word = 0; word < NR_WORDS; word++)
		judged += word == WORD_ABSENT ? 0 : counts[word];
	printf("total: %zu of %zu pass", counts[WORD_PASS], judged);
	for (int word = WORD_PASS + 1; word < NR_WORDS; word++) {
		if (counts[word] != 0)
			printf(", %zu %s", counts[word], word_name((enum word)word));
	}
	printf("; %.1f s\n", seconds);
}

static void json_string(FILE *file, const char *text)
{
	fputc('"', file);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			fprintf(file, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			fprintf(file, "\\u%04x", c);
		else
			fputc(c, file);
	}
	fputc('"', file);
}

static void json_field(FILE *file, const char *name, const char *value)
{
	fprintf(file, "\"%s\": ", name);
	json_string(file, value);
}

/* "name with spaces 12\n..." as an object; the figure is behind the last space. */
static void json_notes(FILE *file, const char *notes)
{
	const char *separator = "";

	fprintf(file, ", \"figures\": {");
	while (*notes) {
		char line[256];
		size_t length = strcspn(notes, "\n");
		char *figure;

		snprintf(line, sizeof(line), "%.*s", (int)length, notes);
		notes += length + (notes[length] == '\n');
		figure = strrchr(line, ' ');
		if (!figure)
			continue;
		*figure++ = '\0';
		fprintf(file, "%s", separator);
		json_string(file, line);
		fprintf(file, ": %s", figure);
		separator = ", ";
	}
	fprintf(file, "}");
}

static void json_result(FILE *file, const struct result *r)
{
	fprintf(file, "    {");
	json_field(file, "name", r->c->name);
	fprintf(file, ", ");
	json_field(file, "word", word_name(r->word));
	if (r->word == WORD_CRASH) {
		fprintf(file, ", ");
		json_field(file, "signal", sigabbrev_np(r->signal));
	}
	if (r->word != WORD_PASS) {
		fprintf(file, ", ");
		json_field(file, "output", r->output);
	}
	json_notes(file, r->notes);
	fprintf(file, ", \"seconds\": %.3f}", r->seconds);
}

static void json_head(FILE *file, const struct request *request)
{
	struct utsname machine = {0};
	char date[32];
	time_t today = time(NULL);
	struct tm utc;

	uname(&machine);
	gmtime_r(&today, &utc);
	strftime(date, sizeof(date), "%Y-%m-%d", &utc);
	fprintf(file, "{\n  ");
	json_field(file, "library", *request->library ? request->library : "C library");
	fprintf(file, ",\n  ");
	json_field(file, "malloc", request->malloc_path);
	fprintf(file, ",\n  ");
	json_field(file, "machine", machine.machine);
	fprintf(file, ",\n  ");
	json_field(file, "kernel", machine.release);
	fprintf(file, ",\n  ");
	json_field(file, "date", date);
	fprintf(file, ",\n  \"effort\": %u,\n  \"seed\": %llu,\n  \"cases\": [\n",
		request->options.effort, (unsigned long long)request->options.seed);
}

bool report_json(const struct request *request, const struct result *results, size_t n)
{
	FILE *file = fopen(request->json, "w");
	bool written;

	if (!file) {
		perror(request->json);
		return false;
	}
	json_head(file, request);
	for (size_t i = 0; i < n; i++) {
		json_result(file, &results[i]);
		fprintf(file, "%s\n", i + 1 < n ? "," : "");
	}
	fprintf(file, "  ]\n}\n");
	written = !ferror(file);
	if (fclose(file) != 0 || !written) {
		fprintf(stderr, "uslub conform: %s can't be written\n", request->json);
		return false;
	}
	return true;
}
