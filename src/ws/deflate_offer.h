#ifndef TIDEGATE_WS_DEFLATE_OFFER_H
#define TIDEGATE_WS_DEFLATE_OFFER_H

/*
 * Deflate offer: a client's offers of permessage-deflate, and our answer (RFC 7692 section 7.1).
 *
 * Both directions go without context takeover, whatever the offer says: in ours, because one frame is shared
 * by all clients; in theirs, because one state of a worker then inflates the messages of all clients, and an
 * idle connection needs no memory for it. An offer that limits our window is declined, since shared frames
 * are made with the largest window. An offer with a parameter that RFC 7692 does not know is declined too;
 * then the next offer in the list is tried.
 */

#include <stddef.h>

/* The value of Sec-WebSocket-Extensions that answers these offers, a constant; NULL if all
 * offers are declined. */
const char *deflate_offer_answer(const char *offers, size_t len);

#endif
