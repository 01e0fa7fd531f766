/*
 * Request head: HTTP/1's request line and fields, after RFC 9112; see the header.
 *
 * It first looks for the end of the head and then reads all of it in one pass: a head that is not complete
 * yet costs only the search for its end.
 */

#include "http/request_head.h"

#include <string.h>
#include <strings.h>

enum {
	LENGTH_DIGITS_MAX = 18, /* of a Content-Length: fits into 64 bits */
};

struct header_name {
	const char *text;
	size_t len;
};

static const struct header_name names[HTTP_N_HEADERS] = {
#define HEADER(id, name) [HTTP_##id] = {name, sizeof(name) - 1},
#include "http/header.def"
#undef HEADER
};

/* The characters of a token (RFC 9110 section 5.6.2), and those of a host with its port
 * (RFC 3986 section 3.2.2). */
static bool is_one_of(unsigned char c, const char *others)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr(others, c));
}

static bool all_of(struct slice text, const char *others)
{
	for (size_t i = 0; i < text.len; i++)
		if (!is_one_of((unsigned char)text.data[i], others))
			return false;
	return true;
}

static bool is_token(struct slice text)
{
	return text.len && all_of(text, "!#$%&'*+-.^_`|~");
}

static bool is_host(struct slice text)
{
	return all_of(text, "-._~!$&'()*+,;=:[]%");
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

struct slice http_trim(struct slice text)
{
	while (text.len && is_space(text.data[text.len - 1]))
		text.len--;
	while (text.len && is_space(text.data[0])) {
		text.data++;
		text.len--;
	}
	return text;
}

static bool equal(struct slice text, const char *other, size_t len)
{
	return text.len == len && !strncasecmp(text.data, other, len);
}

/* Takes the next line from the front, without its end. False if there is no whole line. */
static bool take_line(struct slice *text, struct slice *line)
{
	const char *end = text->len ? memchr(text->data, '\n', text->len) : NULL;

	if (!end)
		return false;
	*line = (struct slice){text->data, (size_t)(end - text->data)};
	text->data += line->len + 1;
	text->len -= line->len + 1;
	if (line->len && line->data[line->len - 1] == '\r')
		line->len--;
	return true;
}

/* Takes the text before the separator from the front. False if there is no separator. */
static bool take_word(struct slice *text, char separator, struct slice *word)
{
	const char *end = text->len ? memchr(text->data, separator, text->len) : NULL;

	if (!end)
		return false;
	*word = (struct slice){text->data, (size_t)(end - text->data)};
	text->data += word->len + 1;
	text->len -= word->len + 1;
	return true;
}

/* Takes "http://host:port" off the front of the path (RFC 9112 section 3.2.2). False if it is not there. */
static bool take_authority(struct slice *target, struct slice *host)
{
	const char *colon = memchr(target->data, ':', target->len);
	size_t len = colon ? (size_t)(colon - target->data) : 0;
	struct slice rest = {target->data + len, target->len - len};

	if (len == 0 || !is_one_of((unsigned char)target->data[0], "") || rest.len < 3 ||
		memcmp(rest.data, "://", 3) != 0)
		return false;
	rest.data += 3;
	rest.len -= 3;
	*host = (struct slice){rest.data, 0};
	while (host->len < rest.len && rest.data[host->len] != '/' && rest.data[host->len] != '?')
		host->len++;
	*target = (struct slice){rest.data + host->len, rest.len - host->len};
	return host->len && is_host(*host);
}

static bool read_target(struct request_head *head, struct slice target)
{
	const char *question;

	for (size_t i = 0; i < target.len; i++)
		if ((unsigned char)target.data[i] <= ' ' || target.data[i] == 0x7f)
			return false;
	if (!target.len)
		return false;
	/* Of CONNECT it is a host and a port; no path of ours is. */
	if (target.data[0] != '/' && !equal(target, "*", 1) && !request_head_method_is(head, "CONNECT") &&
		!take_authority(&target, &head->host))
		return false;
	question = target.len ? memchr(target.data, '?', target.len) : NULL;
	head->path = (struct slice){target.data, question ? (size_t)(question - target.data) : target.len};
	if (question)
		head->query = (struct slice){question + 1, target.len - head->path.len - 1};
	if (!head->path.len)
		head->path = (struct slice){"/", 1};
	return true;
}

static bool read_version(struct request_head *head, struct slice text)
{
	if (text.len != 8 || memcmp(text.data, "HTTP/", 5) != 0 || text.data[6] != '.')
		return false;
	if (text.data[5] < '0' || text.data[5] > '9' || text.data[7] < '0' || text.data[7] > '9')
		return false;
	head->version = (unsigned int)(text.data[5] - '0') * 10 + (unsigned int)(text.data[7] - '0');
	return true;
}

/* Single spaces, as RFC 9112 section 3 demands: a server that guesses where a target ends may guess otherwise
 * than the proxy. */
static bool read_request_line(struct request_head *head, struct slice line)
{
	struct slice target;

	return take_word(&line, ' ', &head->method) && is_token(head->method) &&
	       take_word(&line, ' ', &target) && read_target(head, target) && read_version(head, line);
}

static bool split_field(struct slice line, struct slice *name, struct slice *value)
{
	if (!take_word(&line, ':', name))
		return false;
	*value = http_trim(line);
	return true;
}

static bool read_field(struct request_head *head, struct slice line)
{
	struct slice name, value;

	if (!split_field(line, &name, &value))
		return false;
	/* Of control characters only this and NUL mean something to somebody (RFC 9110 section 5.5). */
	if (value.len && memchr(value.data, '\r', value.len))
		return false;
	for (int i = 0; i < HTTP_N_HEADERS; i++) {
		if (!equal(name, names[i].text, names[i].len))
			continue;
		if (!head->n[i]++)
			head->value[i] = value;
		return true;
	}
	/* A fold or white space before the colon makes the name no token. */
	return is_token(name);
}

/* RFC 9112 section 6.3: nobody may be in doubt where a body ends. */
static bool read_framing(struct request_head *head)
{
	struct slice length = head->value[HTTP_CONTENT_LENGTH];

	if (head->n[HTTP_TRANSFER_ENCODING]) {
		head->chunked = true;
		return head->version > 10 && !head->n[HTTP_CONTENT_LENGTH] &&
		       request_head_is(head, HTTP_TRANSFER_ENCODING, "chunked");
	}
	head->has_content_length = head->n[HTTP_CONTENT_LENGTH] > 0;
	if (!head->has_content_length)
		return true;
	if (head->n[HTTP_CONTENT_LENGTH] > 1 || !length.len || length.len > LENGTH_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < length.len; i++) {
		if (length.data[i] < '0' || length.data[i] > '9')
			return false;
		head->content_length = head->content_length * 10 + (uint64_t)(length.data[i] - '0');
	}
	return true;
}

/* RFC 9112 section 3.2: HTTP/1.1 requires the Host field; a host in the target counts more than the field. */
static bool read_host(struct request_head *head)
{
	if (head->n[HTTP_HOST] > 1 ||
		(head->version / 10 == 1 && head->version > 10 && !head->n[HTTP_HOST]) ||
		!is_host(head->value[HTTP_HOST]))
		return false;
	if (!head->host.data)
		head->host = head->value[HTTP_HOST];
	return true;
}

/* How long the head is, without and with the empty lines before it; false: its end has not come. */
static bool find_end(struct slice text, size_t *emptyp, size_t *lenp)
{
	struct slice rest = text, line;
	bool began = false;

	*emptyp = 0;
	while (take_line(&rest, &line)) {
		*lenp = text.len - rest.len;
		if (line.len)
			began = true;
		else if (began)
			return true;
		else
			*emptyp = *lenp;
	}
	return false;
}

/* Is the end of a head the last that there is? It is of nearly all, and then nobody has to look for it. */
static bool ends_here(struct slice text)
{
	static const char end[] = "\r\n\r\n";

	return text.len > sizeof(end) && text.data[0] > ' ' &&
	       memcmp(text.data + text.len - (sizeof(end) - 1), end, sizeof(end) - 1) == 0;
}

/* Bytes that no request line has, as another protocol begins; else more of it is to come. */
static int judge_begin(struct slice text)
{
	for (size_t i = 0; i < text.len && text.data[i] != '\n'; i++)
		if ((unsigned char)text.data[i] < ' ' && text.data[i] != '\r')
			return REQUEST_HEAD_BAD;
	return REQUEST_HEAD_MORE;
}

static int judge_large(struct slice text, size_t max)
{
	return memchr(text.data, '\n', max) ? REQUEST_HEAD_LARGE : REQUEST_HEAD_LONG_TARGET;
}

int request_head_parse(struct request_head *head, const char *data, size_t len, size_t max, size_t *usedp)
{
	struct slice text = {data, len}, line;
	size_t n_empty = 0, n_all = len;

	*head = (struct request_head){0};
	if ((len > max || !ends_here(text)) && !find_end(text, &n_empty, &n_all)) {
		text = (struct slice){data + n_empty, len - n_empty};
		return len >= max + n_empty ? judge_large(text, max)
		       : len >= 2 * max     ? REQUEST_HEAD_BAD /* of empty lines */
					    : judge_begin(text);
	}
	text = (struct slice){data + n_empty, n_all - n_empty};
	if (text.len > max)
		return judge_large(text, max);
	if (!take_line(&text, &line) || !read_request_line(head, line))
		return REQUEST_HEAD_BAD;
	head->lines = text;
	while (take_line(&text, &line) && line.len)
		if (!read_field(head, line))
			return REQUEST_HEAD_BAD;
	head->lines.len -= text.len; /* a body may stand behind them */
	if (head->lines.len && memchr(head->lines.data, '\0', head->lines.len))
		return REQUEST_HEAD_BAD;
	if (!read_host(head) || !read_framing(head))
		return REQUEST_HEAD_BAD;
	*usedp = (size_t)(text.data - data);
	return 0;
}

bool request_head_method_is(const struct request_head *head, const char *method)
{
	return head->method.len == strlen(method) && !memcmp(head->method.data, method, head->method.len);
}

bool request_head_is(const struct request_head *head, enum http_header header, const char *value)
{
	return head->n[header] == 1 && equal(head->value[header], value, strlen(value));
}

bool request_head_next(struct slice *lines, enum http_header header, struct slice *value)
{
	struct slice line, name;

	while (take_line(lines, &line))
		if (split_field(line, &name, value) && equal(name, names[header].text, names[header].len))
			return true;
	return false;
}

static bool list_has(struct slice list, const char *element, size_t len)
{
	struct slice word;

	while (take_word(&list, ',', &word))
		if (equal(http_trim(word), element, len))
			return true;
	return equal(http_trim(list), element, len);
}

bool request_head_lists(const struct request_head *head, enum http_header header, const char *element)
{
	struct slice lines = head->lines, value;
	size_t len = strlen(element);

	if (!head->n[header])
		return false;
	if (list_has(head->value[header], element, len))
		return true;
	while (head->n[header] > 1 && request_head_next(&lines, header, &value))
		if (list_has(value, element, len))
			return true;
	return false;
}

struct slice request_head_list(
	const struct request_head *head, enum http_header header, char scratch[REQUEST_HEAD_MAX])
{
	struct slice lines = head->lines, value;
	size_t len = 0;

	if (head->n[header] <= 1)
		return head->value[header];
	/* The separator between two values is shorter than the name and the end of a line, so
	 * scratch is large enough. */
	while (request_head_next(&lines, header, &value)) {
		if (len)
			scratch[len++] = ',';
		memcpy(scratch + len, value.data, value.len);
		len += value.len;
	}
	return (struct slice){scratch, len};
}

bool request_head_has_body(const struct request_head *head)
{
	return head->chunked || head->content_length > 0;
}
