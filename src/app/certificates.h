#ifndef TIDEGATE_APP_CERTIFICATES_H
#define TIDEGATE_APP_CERTIFICATES_H

/*
 * Certificates: the keys of the ports that speak TLS, while the gateway serves.
 *
 * Their files are looked at every FILE_LOOK_MS, and read again with a reload. New ones are handed to all
 * that make handshakes; bad ones are refused with a sentence, and the old ones go on. When one expires is a
 * metric, and from two weeks before on a line in the log, once a day.
 *
 * On the bus thread. Whether a port speaks TLS at all, and where its files are, is as it was at the start.
 */

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "core/file_mark.h"

struct admin;
struct event;
struct event_base;
struct log;
struct metrics;
struct tls_keys;
struct worker;

enum {
	CERTIFICATE_FILES = 3, /* of a port: certificate, key, authorities of clients */
};

/* Who is told of new keys; borrowed. */
struct certificates_targets {
	struct admin *admin;
	struct worker *const *workers;
	unsigned int n_workers;
	struct log *log;
	struct metrics *metrics;
};

struct certificate {
	struct tls_keys *keys;   /* NULL: the port speaks no TLS */
	struct tls_keys *newest; /* read, and not handed to everybody yet; NULL if there are none */
	struct file_mark marks[CERTIFICATE_FILES];
	bool unread;      /* what the marks have seen was refused or thrown away: it is read again */
	uint64_t told_ms; /* when the log told last that it expires, by the monotonic clock; 0: never */
};

struct certificates {
	const struct config *config; /* of the start; borrowed */
	struct certificate ports[N_CONFIG_PORTS];
	struct certificates_targets to;
	struct event *timer;
};

/* Reads the keys of the start. 0, CONFIG_BAD with a sentence appended to error, or -ENOMEM. */
int certificates_init(struct certificates *certificates, const struct config *config, struct buf *error);
void certificates_deinit(struct certificates *certificates); /* accepts zeroed memory */

/* Everybody who makes handshakes exists now: looks at the files from here on. 0 or -ENOMEM. */
int certificates_watch(struct certificates *certificates, struct event_base *base,
	const struct certificates_targets *targets);

/* For a reload, which applies all or nothing: reads the files again, and changes nothing yet. Returns the
 * same as certificates_init(). */
int certificates_prepare(struct certificates *certificates, struct buf *error);
void certificates_apply(struct certificates *certificates, bool go);

/* The keys of a port; NULL: it speaks no TLS. Borrowed. */
struct tls_keys *certificates_keys(const struct certificates *certificates, enum config_port port);

#endif
