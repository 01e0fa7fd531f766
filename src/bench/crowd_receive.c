/* Crowd, receiving: what a frame means for the connection that it came to. */

#include "bench/peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "bench/action_load.h"
#include "bench/event.h"
#include "bench/inflater.h"
#include "bench/plan.h"
#include "bench/window.h"
#include "ws_client/client_frame.h"
#include "ws_client/server_frame.h"

/* One that was not here before. */
static void peer_delivered(struct crowd *crowd, struct peer *peer, uint64_t number, uint64_t at_us)
{
	crowd_count(&crowd->counts.delivered, 1);
	if (at_us >= crowd->from_us && at_us < crowd->to_us)
		histogram_record(&crowd->latency, crowd->now_us > at_us ? crowd->now_us - at_us : 0);
	peer_note_storm(crowd, peer, at_us);
	if (crowd->window_shares && window_arrived(crowd->shared->window, crowd->window_shares, number,
					    crowd_share(crowd, peer->channel)))
		crowd->got_whole = true;
}

static int peer_event(struct crowd *crowd, struct peer *peer, const char *text, size_t len)
{
	uint64_t number, at_us;
	int r;

	if (crowd->shared->actions) {
		bool is_answer = action_load_hear(crowd->shared->actions, text, len, crowd->now_us);

		crowd_count(is_answer ? &crowd->counts.delivered : &crowd->counts.foreign, 1);
		return 0;
	}
	if (!event_parse(crowd->shared->event, text, len, &number, &at_us)) {
		crowd_count(&crowd->counts.foreign, 1);
		peer_told(crowd, peer, text, len);
		return 0;
	}
	peer_remember(crowd, peer, text, len);
	if (at_us == 0) {
		crowd_count(&crowd->counts.primed, !peer->primed);
		peer->primed = true;
		return 0;
	}
	r = sequence_take(&peer->sequence, number, crowd->shared->plan->n_channels);
	if (r == SEQUENCE_NEXT || r == SEQUENCE_AHEAD || r == SEQUENCE_LATE)
		peer_delivered(crowd, peer, number, at_us);
	crowd_count(&crowd->counts.reordered, r == SEQUENCE_LATE);
	crowd_count(&crowd->counts.doubled, r == SEQUENCE_DOUBLE);
	crowd_count(&crowd->counts.misdelivered, r == SEQUENCE_FOREIGN);
	return r < 0 ? r : 0;
}

static int peer_text(struct crowd *crowd, struct peer *peer, const struct server_frame *frame)
{
	const char *text = (const char *)frame->payload;
	int n;

	if (!frame->deflated)
		return peer_event(crowd, peer, text, frame->len);
	if (!crowd->inflater) {
		crowd_note(crowd, "a compressed frame, though nobody asked for it", "");
		return -EPROTO;
	}
	n = inflater_head(crowd->inflater, frame->payload, frame->len, &text);
	if (n < 0) {
		crowd_note(crowd, "a compressed frame that does not inflate", "");
		return n;
	}
	return peer_event(crowd, peer, text, (size_t)n);
}

/* Answers with the same bytes, masked with zeros. One that does not fit now is lost, which
 * a server forgives. */
static int peer_pong(struct peer *peer, const struct server_frame *frame)
{
	unsigned char pong[CLIENT_FRAME_HEAD_MAX + CONTROL_MAX];
	size_t head;

	if (frame->len > CONTROL_MAX)
		return -EPROTO;
	head = client_frame_head(OPCODE_PONG, frame->len, pong);
	memcpy(pong + head, frame->payload, frame->len);
	(void)wire_send(&peer->wire, pong, head + frame->len);
	return 0;
}

static int peer_closed(struct crowd *crowd, const struct server_frame *frame)
{
	char code[32] = "no code";

	if (frame->len >= 2)
		snprintf(code, sizeof(code), "code %d", frame->payload[0] << 8 | frame->payload[1]);
	crowd_note(crowd, "the server closed a connection: ", code);
	return -ECONNRESET;
}

int peer_frame(struct crowd *crowd, struct peer *peer, const struct server_frame *frame)
{
	switch (frame->opcode) {
	case OPCODE_TEXT:
		return peer_text(crowd, peer, frame);
	case OPCODE_PING:
		return peer_pong(peer, frame);
	case OPCODE_PONG:
		return 0;
	case OPCODE_CLOSE:
		return peer_closed(crowd, frame);
	default:
		crowd_note(crowd, "a frame that is neither text nor control", "");
		return -EPROTO;
	}
}
