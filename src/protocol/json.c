/*
 * JSON: checks bytes strictly.
 *
 * One pass, no recursion, no memory: each open bracket is one bit, which says array or object. Between the
 * brackets of a container the same things can always come next: its end, or (behind a comma) a member or an
 * element. So the whole grammar is scan_next() in a loop, and scan_value() for the value behind a colon.
 *
 * Every event goes through here once per node. Most of its bytes are inside strings, which are read sixteen
 * bytes at a time where the processor can, and eight elsewhere.
 */

#include "protocol/json.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "core/text.h"

enum {
	JSON_DEPTH_LIMIT = 128, /* bits in the stack below */
};

struct scan {
	const unsigned char *p;
	const unsigned char *end;
	unsigned int depth;
	unsigned int depth_max;
	bool first; /* nothing has been read since the innermost bracket opened */
	uint64_t is_object[JSON_DEPTH_LIMIT / 64];
	struct json_member *members; /* looked for at depth 1 */
	size_t n_members;
	struct json_member *wanted; /* the member the member whose value is being read */
	const unsigned char *value; /* where that value began */
};

/* --- scanning --- */

static inline bool is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static inline const unsigned char *skip_space(const unsigned char *p, const unsigned char *end)
{
	while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	return p;
}

/* The four digits of an escape as a UTF-16 unit, or -1. */
static long hex_unit(const unsigned char *p, const unsigned char *end)
{
	long unit = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = text_hex_value(p[i]);

		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
	}
	return unit;
}

/* p is at the backslash. */
static const unsigned char *scan_escape(const unsigned char *p, const unsigned char *end)
{
	if (end - p < 2)
		return NULL;
	switch (p[1]) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		return p + 2;
	case 'u': /* half a surrogate pair, too: RFC 8259 section 8.2 */
		return hex_unit(p + 2, end) < 0 ? NULL : p + 6;
	default:
		return NULL;
	}
}

#ifdef __SSE2__

/* Which of sixteen bytes are not plain, a bit each. Compared as signed numbers, a byte that is not ASCII is
 * below a blank, as a control byte is. */
static inline unsigned int odd_bytes(const unsigned char *p)
{
	const __m128i bytes = _mm_loadu_si128((const __m128i *)p);
	const __m128i control = _mm_cmplt_epi8(bytes, _mm_set1_epi8(' '));
	const __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
	const __m128i slash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));

	return (unsigned int)_mm_movemask_epi8(_mm_or_si128(control, _mm_or_si128(quote, slash)));
}

#endif

/* Eight bytes at a time: each of the three subtractions sets the high bit of a byte that matches, and wrongly
 * sets it only above a byte that does. */
static const unsigned char *skip_plain_words(const unsigned char *p, const unsigned char *end)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	const uint64_t highs = ones << 7;
	uint64_t word, quote, slash, hits;

	for (; end - p >= 8; p += 8) {
		memcpy(&word, p, 8);
		word = le64toh(word);
		quote = word ^ ones * '"';
		slash = word ^ ones * '\\';
		hits = (((quote - ones) & ~quote) | ((slash - ones) & ~slash) |
			       ((word - ones * 0x20) & ~word) | word) &
		       highs;
		if (hits)
			return p + __builtin_ctzll(hits) / 8;
	}
	while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
		p++;
	return p;
}

/* Finds the first byte that is not plain: a quote, a backslash, a control byte, or not ASCII. */
static inline const unsigned char *skip_plain(const unsigned char *p, const unsigned char *end)
{
#ifdef __SSE2__
	for (; end - p >= 16; p += 16) {
		unsigned int odd = odd_bytes(p);

		if (odd)
			return p + __builtin_ctz(odd);
	}
#endif
	return skip_plain_words(p, end);
}

/* A string from its first byte on that is neither plain nor its end. */
static const unsigned char *scan_odd_string(const unsigned char *p, const unsigned char *end, bool *escapedp)
{
	size_t n;

	for (;; p = skip_plain(p, end)) {
		if (p == end || *p < 0x20)
			return NULL;
		if (*p == '"')
			return p + 1;
		if (*p == '\\') {
			*escapedp = true;
			p = scan_escape(p, end);
			if (!p)
				return NULL;
			continue;
		}
		for (; p < end && *p >= 0x80; p += n) { /* bytes that are not ASCII come in runs */
			n = text_utf8_sequence(p, (size_t)(end - p));
			if (n == 0)
				return NULL;
		}
	}
}

/* p is behind the opening quote; returns behind the closing one, or NULL. */
static inline const unsigned char *scan_string(
	const unsigned char *p, const unsigned char *end, bool *escapedp)
{
	*escapedp = false;
	p = skip_plain(p, end);
	return p < end && *p == '"' ? p + 1 : scan_odd_string(p, end, escapedp);
}

/* Skips all digits, at least one; NULL if there is no digit. */
static inline const unsigned char *scan_digits(const unsigned char *p, const unsigned char *end)
{
	if (p == end || !is_digit(*p))
		return NULL;
	while (p < end && is_digit(*p))
		p++;
	return p;
}

static const unsigned char *scan_number(const unsigned char *p, const unsigned char *end)
{
	if (*p == '-')
		p++;
	if (p < end && *p == '0')
		p++; /* a digit behind it is then no comma and no bracket, and refused for that */
	else
		p = scan_digits(p, end);
	if (p && p < end && *p == '.')
		p = scan_digits(p + 1, end);
	if (p && p < end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		p = scan_digits(p, end);
	}
	return p;
}

static const unsigned char *scan_word(
	const unsigned char *p, const unsigned char *end, const char *word, size_t len)
{
	return (size_t)(end - p) >= len && memcmp(p, word, len) == 0 ? p + len : NULL;
}

static inline bool in_object(const struct scan *scan)
{
	return scan->is_object[(scan->depth - 1) / 64] >> (scan->depth - 1) % 64 & 1;
}

static int scan_open(struct scan *scan)
{
	uint64_t *bits = &scan->is_object[scan->depth / 64];
	uint64_t bit = UINT64_C(1) << scan->depth % 64;

	if (scan->depth >= scan->depth_max)
		return JSON_TOO_DEEP;
	*bits = *scan->p == '{' ? *bits | bit : *bits & ~bit;
	scan->depth++;
	scan->first = true;
	scan->p++;
	return 0;
}

/* A whole scalar, or the bracket that opens a container. */
static inline int scan_value(struct scan *scan)
{
	bool escaped;

	scan->p = skip_space(scan->p, scan->end);
	if (scan->p == scan->end)
		return JSON_INVALID;
	if (scan->depth == 1)
		scan->value = scan->p;
	switch (*scan->p) {
	case '"':
		scan->p = scan_string(scan->p + 1, scan->end, &escaped);
		break;
	case '{':
	case '[':
		return scan_open(scan);
	case 't':
		scan->p = scan_word(scan->p, scan->end, "true", 4);
		break;
	case 'f':
		scan->p = scan_word(scan->p, scan->end, "false", 5);
		break;
	case 'n':
		scan->p = scan_word(scan->p, scan->end, "null", 4);
		break;
	default: /* a number, or nothing that there is */
		scan->p = scan_number(scan->p, scan->end);
	}
	return scan->p ? 0 : JSON_INVALID;
}

/* --- the outermost object's members, and checking --- */

/* The member of the outermost object that has this name (quotes included), if it is looked for. */
static struct json_member *find_member(const struct scan *scan, struct slice name, bool escaped)
{
	for (size_t i = 0; i < scan->n_members; i++) {
		const char *wanted = scan->members[i].name;
		size_t len = name.len - 2;

		if (escaped ? json_string_is(name, wanted, strlen(wanted))
			    : name.data[1] == wanted[0] && strncmp(name.data + 1, wanted, len) == 0 &&
					!wanted[len])
			return &scan->members[i];
	}
	return NULL;
}

/* A member's name and its colon. */
static inline int scan_name(struct scan *scan)
{
	const unsigned char *name;
	bool escaped;

	scan->p = skip_space(scan->p, scan->end);
	if (scan->p == scan->end || *scan->p != '"')
		return JSON_INVALID;
	name = scan->p;
	scan->p = scan_string(name + 1, scan->end, &escaped);
	if (!scan->p)
		return JSON_INVALID;
	if (scan->depth == 1)
		scan->wanted = find_member(
			scan, (struct slice){(const char *)name, (size_t)(scan->p - name)}, escaped);
	scan->p = skip_space(scan->p, scan->end);
	if (scan->p == scan->end || *scan->p != ':')
		return JSON_INVALID;
	scan->p++;
	return 0;
}

/* The next thing in the innermost container: its end, a member or an element. */
static inline int scan_next(struct scan *scan)
{
	bool object = in_object(scan);
	int r;

	scan->p = skip_space(scan->p, scan->end);
	if (scan->p == scan->end)
		return JSON_INVALID;
	if (*scan->p == (object ? '}' : ']')) {
		scan->p++;
		scan->depth--;
		scan->first = false;
		return 0;
	}
	if (!scan->first && *scan->p++ != ',')
		return JSON_INVALID;
	scan->first = false;
	if (object) {
		r = scan_name(scan);
		if (r)
			return r;
	}
	return scan_value(scan);
}

int json_check(const char *text, size_t len, unsigned int depth_max, struct json_member *members, size_t n,
	bool *is_objectp)
{
	struct scan scan = {
		.p = (const unsigned char *)text,
		.depth_max = depth_max < JSON_DEPTH_LIMIT ? depth_max : JSON_DEPTH_LIMIT,
		.members = members,
		.n_members = n,
	};
	int r;

	for (size_t i = 0; i < n; i++) {
		members[i].value = (struct slice){0};
		members[i].n = 0;
	}
	if (len == 0)
		return JSON_INVALID;
	scan.end = scan.p + len;
	r = scan_value(&scan);
	*is_objectp = r == 0 && scan.depth && in_object(&scan);
	while (r == 0 && scan.depth > 0) {
		r = scan_next(&scan);
		if (scan.wanted && scan.depth == 1 && r == 0) {
			scan.wanted->value =
				(struct slice){(const char *)scan.value, (size_t)(scan.p - scan.value)};
			scan.wanted->n++;
			scan.wanted = NULL;
		}
	}
	if (r)
		return r;
	return skip_space(scan.p, scan.end) == scan.end ? 0 : JSON_INVALID;
}

/* --- where a text stops being JSON --- */

/* The beginning of the scalar at which a step from `from` failed. */
static const unsigned char *fault_of_step(const struct scan *scan, const unsigned char *from)
{
	struct scan step = *scan;
	bool object = scan->depth > 0 && in_object(scan);

	step.p = skip_space(from, scan->end);
	if (step.p < step.end && *step.p == ',')
		step.p = skip_space(step.p + 1, step.end);
	from = step.p;
	if (object && scan_name(&step) == 0)
		from = skip_space(step.p, step.end);
	return from;
}

size_t json_fault(const char *text, size_t len, unsigned int depth_max)
{
	struct scan scan = {
		.p = (const unsigned char *)text,
		.end = (const unsigned char *)text + len,
		.depth_max = depth_max < JSON_DEPTH_LIMIT ? depth_max : JSON_DEPTH_LIMIT,
	};
	const unsigned char *from = scan.p;
	int r = scan_value(&scan);

	while (r == 0 && scan.depth > 0) {
		from = scan.p;
		r = scan_next(&scan);
	}
	if (r == 0)
		scan.p = skip_space(scan.p, scan.end);
	else if (!scan.p)
		scan.p = fault_of_step(&scan, from);
	return (size_t)(scan.p - (const unsigned char *)text);
}

/* A checked string's bytes, unescaped one by one. */
struct reader {
	const unsigned char *p;
	const unsigned char *end;
	unsigned char pending[3]; /* of an escape that is several bytes of UTF-8, the last first */
	unsigned int n_pending;
};

/* --- strings --- */

static struct reader reader_of(struct slice value)
{
	const unsigned char *data = (const unsigned char *)value.data;

	return (struct reader){.p = data + 1, .end = data + value.len - 1};
}

/* The low surrogate whose escape begins at p, or -1. */
static long low_surrogate(const unsigned char *p, const unsigned char *end)
{
	long unit = end - p >= 6 && p[0] == '\\' && p[1] == 'u' ? hex_unit(p + 2, end) : -1;

	return unit >= 0xdc00 && unit <= 0xdfff ? unit : -1;
}

/*
 * p is behind `\u`. Returns the first byte and leaves the others pending. Half a surrogate pair becomes three
 * bytes that are not UTF-8: so it differs from every other text, and is refused as a name or a position.
 */
static int read_unicode(struct reader *reader)
{
	static const unsigned char leads[] = {0x00, 0xc0, 0xe0, 0xf0};
	unsigned long code = (unsigned long)hex_unit(reader->p, reader->end);
	unsigned int n;
	long low = -1;

	reader->p += 4;
	if (code >= 0xd800 && code <= 0xdbff)
		low = low_surrogate(reader->p, reader->end);
	if (low >= 0) {
		code = 0x10000 + ((code - 0xd800) << 10) + ((unsigned long)low - 0xdc00);
		reader->p += 6;
	}
	n = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
	for (unsigned int i = 0; i < n; i++, code >>= 6)
		reader->pending[reader->n_pending++] = (unsigned char)(0x80 | (code & 0x3f));
	return (int)(leads[n] | code);
}

static int read_byte(struct reader *reader)
{
	unsigned char c;

	if (reader->n_pending)
		return reader->pending[--reader->n_pending];
	if (reader->p == reader->end)
		return -1;
	c = *reader->p++;
	if (c != '\\')
		return c;
	c = *reader->p++;
	switch (c) {
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case 'u':
		return read_unicode(reader);
	default:
		return c;
	}
}

long json_unescape(struct slice value, char *out, size_t cap)
{
	struct reader reader = reader_of(value);
	size_t n = 0;
	int c;

	for (c = read_byte(&reader); c >= 0; c = read_byte(&reader)) {
		if (n == cap)
			return -1;
		out[n++] = (char)c;
	}
	return (long)n;
}

bool json_string_is(struct slice value, const char *data, size_t len)
{
	struct reader reader = reader_of(value);

	for (size_t i = 0; i < len; i++)
		if (read_byte(&reader) != (unsigned char)data[i])
			return false;
	return read_byte(&reader) < 0;
}

bool json_string_equal(struct slice a, struct slice b)
{
	struct reader of_a = reader_of(a);
	struct reader of_b = reader_of(b);
	int c;

	do {
		c = read_byte(&of_a);
		if (c != read_byte(&of_b))
			return false;
	} while (c >= 0);
	return true;
}

/* --- values, arrays and objects --- */

bool json_is_integer(struct slice value)
{
	if (!value.data || !value.len || (value.data[0] != '-' && !is_digit((unsigned char)value.data[0])))
		return false;
	for (size_t i = 1; i < value.len; i++)
		if (!is_digit((unsigned char)value.data[i]))
			return false;
	return true;
}

static size_t not_space(struct slice text, size_t i)
{
	while (i < text.len && memchr(" \t\r\n", text.data[i], 4))
		i++;
	return i;
}

/* Behind the string that begins at i, and never behind the text. */
static size_t string_end(struct slice text, size_t i)
{
	for (i++; i < text.len && text.data[i] != '"'; i++)
		i += text.data[i] == '\\';
	return i < text.len ? i + 1 : text.len;
}

/* Behind the value that begins at i, and never behind the text. In a checked text, all brackets pair. */
static size_t value_end(struct slice text, size_t i)
{
	unsigned int depth = 0;

	while (i < text.len) {
		char c = text.data[i];

		if (c == '"') {
			i = string_end(text, i);
		} else {
			depth += c == '[' || c == '{';
			depth -= c == ']' || c == '}';
			i++;
		}
		if (!depth && i < text.len && memchr(",]} \t\r\n", text.data[i], 7))
			break;
	}
	return i;
}

/* The offset of the next item or member of a container, or of its closing bracket. */
static size_t next_item(struct slice container, size_t pos)
{
	size_t i = not_space(container, pos ? pos : not_space(container, 0) + 1);

	return i < container.len && container.data[i] == ',' ? not_space(container, i + 1) : i;
}

bool json_array_next(struct slice array, size_t *posp, struct slice *itemp)
{
	size_t i = next_item(array, *posp), end;

	if (i >= array.len || array.data[i] == ']')
		return false;
	end = value_end(array, i);
	*itemp = (struct slice){array.data + i, end - i};
	*posp = end;
	return true;
}

bool json_object_next(struct slice object, size_t *posp, struct slice *namep, struct slice *valuep)
{
	size_t i = next_item(object, *posp), end;

	if (i >= object.len || object.data[i] == '}')
		return false;
	end = string_end(object, i);
	*namep = (struct slice){object.data + i, end - i};
	i = not_space(object, end);
	i = not_space(object, i + (i < object.len)); /* behind the colon */
	end = value_end(object, i);
	*valuep = (struct slice){object.data + i, end - i};
	*posp = end;
	return true;
}
