/* Close reason: codes and words, out of the table; see the header. */

#include "protocol/close_reason.h"

uint16_t close_reason_code(enum close_reason reason)
{
	static const uint16_t codes[] = {
#define CLOSE_REASON(id, word, code, told, sentence) [CLOSE_##id] = code,
#include "protocol/close_reason.def"
#undef CLOSE_REASON
	};

	return codes[reason];
}

const char *close_reason_sentence(enum close_reason reason)
{
	static const char *const sentences[] = {
#define CLOSE_REASON(id, word, code, told, sentence) [CLOSE_##id] = sentence,
#include "protocol/close_reason.def"
#undef CLOSE_REASON
	};

	return sentences[reason];
}

const char *close_reason_told(enum close_reason reason)
{
	static const char *const words[] = {
#define CLOSE_REASON(id, word, code, told, sentence) [CLOSE_##id] = told,
#include "protocol/close_reason.def"
#undef CLOSE_REASON
	};

	return words[reason] ? words[reason] : close_reason_sentence(reason);
}

const char *close_reason_word(enum close_reason reason)
{
	static const char *const words[] = {
#define CLOSE_REASON(id, word, code, told, sentence) [CLOSE_##id] = word,
#include "protocol/close_reason.def"
#undef CLOSE_REASON
	};

	return words[reason];
}
