#ifndef TIDEGATE_WS_DEFLATE_OFFER_H
#define TIDEGATE_WS_DEFLATE_OFFER_H

/*
 * Deflate offer: what a client says about permessage-deflate, and what we answer (RFC 7692 section 7.1).
 *
 * Both directions go without context takeover, whatever the offer says. Ours: one frame is shared by all
 * clients. Theirs: one state a worker inflates all of them, and an idle connection holds none. An offer that
 * limits our window is declined, since shared frames are made with the largest. An offer with anything that
 * RFC 7692 does not know is declined too; then the next in the list counts.
 */

#include <stddef.h>

/* The value of Sec-WebSocket-Extensions that answers these offers; NULL: none of them is taken. A constant.
 */
const char *deflate_offer_answer(const char *offers, size_t len);

#endif
