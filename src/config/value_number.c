/*
 * Value, numbers: durations, sizes and counts.
 *
 * Numbers carry their unit ("25s", "16KiB"), because a bare number in a file is misread sooner or later; a
 * bare number counts as seconds or bytes. Printing gives back the text that an operator would write.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/value_private.h"
#include "core/buf.h"

struct unit {
	const char *suffix;
	uint64_t factor;
	uint64_t printed_from; /* 0: whenever it leaves no fraction */
};

/* Smallest first; the empty suffix is how a bare number is read, and is never printed. */
static const struct unit time_units[] = {
	{"", 1000, 0},
	{"ms", 1, 0},
	{"s", 1000, 0},
	{"m", 60000, 0},
	{"h", 3600000, 0},
	{"d", 86400000, 2 * 86400000}, /* most people write one day as 24h */
	{0},
};
static const struct unit size_units[] = {{"", 1, 0}, {"B", 1, 0}, {"KiB", 1024, 0}, {"MiB", 1024 * 1024, 0},
	{"GiB", 1024 * 1024 * 1024, 0}, {0}};
static const struct unit no_units[] = {{"", 1, 0}, {0}};

static bool number_parse(const char *text, const struct unit *units, uint64_t *valuep)
{
	unsigned long long n;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false; /* strtoull would take spaces and signs */
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno)
		return false;
	for (; units->suffix; units++)
		if (strcmp(end, units->suffix) == 0)
			return !__builtin_mul_overflow(n, units->factor, valuep);
	return false;
}

/* In the largest unit that leaves no fraction. */
static void number_print(uint64_t value, const struct unit *units, struct buf *out)
{
	const struct unit *best = &units[1];

	if (!value && units == time_units)
		best = &units[2]; /* as people write it: 0s */
	for (const struct unit *unit = best; unit->suffix; unit++)
		if (value % unit->factor == 0 && value >= unit->factor && value >= unit->printed_from)
			best = unit;
	buf_printf(out, "%llu%s", (unsigned long long)(value / best->factor), best->suffix);
}

static int bounded_parse(const char *text, const struct unit *units, const char *what, const char *examples,
	const struct value_bounds *bounds, uint64_t *valuep, struct buf *error)
{
	if (number_parse(text, units, valuep) && *valuep >= bounds->least && *valuep <= bounds->most)
		return 0;
	value_refuse(error, text, what);
	buf_append_str(error, " from ");
	if (units == no_units) {
		buf_printf(error, "%llu to %llu", (unsigned long long)bounds->least,
			(unsigned long long)bounds->most);
		return CONFIG_BAD;
	}
	number_print(bounds->least, units, error);
	buf_append_str(error, " to ");
	number_print(bounds->most, units, error);
	buf_printf(error, " (such as %s)", examples);
	return CONFIG_BAD;
}

static int duration_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	uint64_t ms;
	int r;

	(void)n;
	r = bounded_parse(texts[0], time_units, "a duration", "25s, 2m", bounds, &ms, error);
	if (r == 0)
		*(uint64_t *)member = ms;
	return r;
}

static void duration_print(const void *member, struct buf *out)
{
	number_print(*(const uint64_t *)member, time_units, out);
}

static bool duration_equal(const void *a, const void *b)
{
	return *(const uint64_t *)a == *(const uint64_t *)b;
}

static int size_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	uint64_t bytes;
	int r;

	(void)n;
	r = bounded_parse(texts[0], size_units, "a size", "4096, 16KiB, 1MiB", bounds, &bytes, error);
	if (r == 0)
		*(size_t *)member = bytes;
	return r;
}

static void size_print(const void *member, struct buf *out)
{
	number_print(*(const size_t *)member, size_units, out);
}

static bool size_equal(const void *a, const void *b)
{
	return *(const size_t *)a == *(const size_t *)b;
}

static int count_parse(void *member, const char *const *texts, size_t n, const struct value_bounds *bounds,
	struct buf *error)
{
	uint64_t count;
	int r;

	(void)n;
	r = bounded_parse(texts[0], no_units, "a number", "", bounds, &count, error);
	if (r == 0)
		*(unsigned int *)member = (unsigned int)count;
	return r;
}

static void count_print(const void *member, struct buf *out)
{
	buf_printf(out, "%u", *(const unsigned int *)member);
}

static int count_or_auto_parse(void *member, const char *const *texts, size_t n,
	const struct value_bounds *bounds, struct buf *error)
{
	if (strcmp(texts[0], "auto") != 0)
		return count_parse(member, texts, n, bounds, error);
	*(unsigned int *)member = CONFIG_AUTO;
	return 0;
}

static void count_or_auto_print(const void *member, struct buf *out)
{
	if (*(const unsigned int *)member == CONFIG_AUTO)
		buf_append_str(out, "auto");
	else
		count_print(member, out);
}

static bool count_equal(const void *a, const void *b)
{
	return *(const unsigned int *)a == *(const unsigned int *)b;
}

bool value_number(const char *text, uint64_t *valuep)
{
	return number_parse(text, no_units, valuep);
}

const struct value_type value_workers = {
	"NUMBER", false, NULL, NULL, count_parse, count_print, count_equal, NULL};

const struct value_type value_count = {
	"NUMBER", false, NULL, NULL, count_parse, count_print, count_equal, NULL};

const struct value_type value_count_or_auto = {
	"NUMBER", false, NULL, NULL, count_or_auto_parse, count_or_auto_print, count_equal, NULL};

const struct value_type value_duration = {
	"DURATION", false, NULL, NULL, duration_parse, duration_print, duration_equal, NULL};

const struct value_type value_size = {"SIZE", false, NULL, NULL, size_parse, size_print, size_equal, NULL};
