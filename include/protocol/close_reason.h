#ifndef TIDEGATE_PROTOCOL_CLOSE_REASON_H
#define TIDEGATE_PROTOCOL_CLOSE_REASON_H

/* Close reason: why a connection ends; the code and the words of its close frame. */

#include <stddef.h>
#include <stdint.h>

enum close_reason {
#define CLOSE_REASON(id, word, code, told, sentence) CLOSE_##id,
#include "protocol/close_reason.def"
#undef CLOSE_REASON
	N_CLOSE_REASONS,
};

uint16_t close_reason_code(enum close_reason reason);
const char *close_reason_sentence(enum close_reason reason);
const char *close_reason_told(enum close_reason reason); /* what the peer hears */
const char *close_reason_word(enum close_reason reason); /* what programs know it by */

#endif
