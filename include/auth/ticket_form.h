#ifndef TIDEGATE_AUTH_TICKET_FORM_H
#define TIDEGATE_AUTH_TICKET_FORM_H

/* Ticket form: what a ticket looks like. Pure. Redis is asked for nothing else. */

#include <stdbool.h>

#include "core/slice.h"

enum {
	TICKET_MIN = 32, /* characters: 16 bytes in hexadecimal, as random as nobody can guess */
	TICKET_MAX = 128,
};

/* Letters, digits, '-' and '_': base64url, hexadecimal, a UUID. */
bool ticket_form_good(struct slice ticket);

#endif
