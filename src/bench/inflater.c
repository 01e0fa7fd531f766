/*
 * Inflater: inflates what it has not seen lately; see the header for what it promises.
 *
 * Recent frames are in a table by the hash of their bytes. Two that share a place push each other out, which
 * costs time and nothing else.
 */

#include "bench/inflater.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

enum {
	PLACES = 1024,         /* well above the events in flight of any sensible window */
	FRAME_KEPT_MAX = 4096, /* larger frames are inflated each time: at most 4 MiB are kept */
	CHUNK = 16384,
};

struct place {
	unsigned char *data; /* compressed */
	size_t len;
	size_t head_len;
	char head[INFLATER_HEAD_MAX];
};

struct inflater {
	z_stream stream;
	struct place places[PLACES];
	struct place large; /* what is not kept */
	unsigned char chunk[CHUNK];
};

struct inflater *inflater_new(void)
{
	struct inflater *inflater = calloc(1, sizeof(*inflater));

	if (!inflater)
		return NULL;
	if (inflateInit2(&inflater->stream, -MAX_WBITS) != Z_OK) {
		free(inflater);
		return NULL;
	}
	return inflater;
}

void inflater_free(struct inflater *inflater)
{
	if (!inflater)
		return;
	inflateEnd(&inflater->stream);
	for (size_t i = 0; i < PLACES; i++)
		free(inflater->places[i].data);
	free(inflater);
}

static size_t hash(const unsigned char *data, size_t len)
{
	uint64_t h = len, word = 0;

	for (; len >= sizeof(word); data += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, data, sizeof(word));
		h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	word = 0;
	memcpy(&word, data, len);
	h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return h >> 32;
}

/* Inflates to the end of the input. Whole text is checked, its head kept. */
static int inflate_part(struct inflater *inflater, const unsigned char *data, size_t len, struct place *place)
{
	z_stream *z = &inflater->stream;
	int r;

	z->next_in = (unsigned char *)data; /* zlib does not write there */
	z->avail_in = (uInt)len;
	do {
		size_t n, room = INFLATER_HEAD_MAX - place->head_len;

		z->next_out = inflater->chunk;
		z->avail_out = CHUNK;
		r = inflate(z, Z_SYNC_FLUSH);
		if (r != Z_OK && r != Z_BUF_ERROR && r != Z_STREAM_END)
			return -EPROTO;
		n = CHUNK - z->avail_out;
		memcpy(place->head + place->head_len, inflater->chunk, n < room ? n : room);
		place->head_len += n < room ? n : room;
	} while (r == Z_OK && z->avail_out == 0);
	return z->avail_in ? -EPROTO : 0;
}

static int inflate_head(struct inflater *inflater, const unsigned char *data, size_t len, struct place *place)
{
	static const unsigned char tail[] = {
		0x00, 0x00, 0xff, 0xff}; /* the sender takes it off: RFC 7692, 7.2.1 */
	int r;

	place->head_len = 0;
	inflateReset(&inflater->stream);
	r = inflate_part(inflater, data, len, place);
	return r < 0 ? r : inflate_part(inflater, tail, sizeof(tail), place);
}

/* The place keeps nothing until its text is known to be good. */
static int place_fill(struct inflater *inflater, struct place *place, const unsigned char *data, size_t len)
{
	unsigned char *copy = malloc(len ? len : 1);
	int r;

	if (!copy)
		return -ENOMEM;
	free(place->data);
	place->data = NULL;
	r = inflate_head(inflater, data, len, place);
	if (r < 0) {
		free(copy);
		return r;
	}
	memcpy(copy, data, len);
	place->data = copy;
	place->len = len;
	return 0;
}

int inflater_head(struct inflater *inflater, const unsigned char *data, size_t len, const char **headp)
{
	struct place *place = &inflater->places[hash(data, len) % PLACES];
	int r = 0;

	if (len > FRAME_KEPT_MAX) {
		place = &inflater->large;
		r = inflate_head(inflater, data, len, place);
	} else if (!place->data || place->len != len || memcmp(place->data, data, len)) {
		r = place_fill(inflater, place, data, len);
	}
	*headp = place->head;
	return r < 0 ? r : (int)place->head_len;
}
