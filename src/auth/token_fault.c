/* Token fault: the table of reasons; see the header. */

#include "auth/token_fault.h"

static const struct {
	const char *name;
	const char *sentence;
} faults[N_TOKEN_FAULTS] = {
	[TOKEN_GOOD] = {"good", "it is accepted"},
#define TOKEN_FAULT(id, name, sentence) [TOKEN_##id] = {name, sentence},
#include "auth/token_fault.def"
#undef TOKEN_FAULT
};

const char *token_fault_name(enum token_fault fault)
{
	return faults[fault].name;
}

const char *token_fault_sentence(enum token_fault fault)
{
	return faults[fault].sentence;
}
