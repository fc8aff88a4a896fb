/*
 * Lists of numbers, as sysfs and users write them. Layer: os; see id_set.h. Called by options, numa_topology and the
 * control files.
 */
#include "id_set.h"

void id_set_parse(struct id_set *set, const char *text, size_t len)
{
	uint32_t number = 0, first = 0;
	bool digits = false, range = false;

	for (size_t i = 0; i <= len; i++) {
		const char c = *(i < len ? text + i : ",");

		if (c >= '0' && c <= '9') {
			digits = true;
			number = number < MAX_IDS ? number * 10 + (uint32_t)(c - '0') : number;
			continue;
		}
		if (c == '-') {
			first = number;
			range = digits;
		} else {
			for (uint32_t id = range ? first : number; digits && id <= number; id++)
				id_set_add(set, id);
			range = false;
		}
		number = 0;
		digits = false;
	}
}

/* Of the digits at *at; MAX_IDS where there are none, or too many. */
static uint32_t parse_id(const char **at, const char *end)
{
	uint32_t id = 0;
	bool digits = false;

	for (; *at < end && **at >= '0' && **at <= '9'; ++*at) {
		digits = true;
		id = id < MAX_IDS ? id * 10 + (uint32_t)(**at - '0') : id;
	}
	return digits && id < MAX_IDS ? id : MAX_IDS;
}

bool id_set_parse_strictly(struct id_set *set, const char *text, size_t len, char separator,
			   uint32_t end)
{
	const char *text_end = text + len;

	for (;;) {
		uint32_t first = parse_id(&text, text_end), last = first;

		if (text < text_end && *text == '-') {
			text++;
			last = parse_id(&text, text_end);
		}
		if (first > last || last >= end || last >= MAX_IDS)
			return false;
		for (uint32_t id = first; id <= last; id++)
			id_set_add(set, id);
		if (text == text_end)
			return true;
		if (*text++ != separator)
			return false;
	}
}
