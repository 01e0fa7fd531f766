#ifndef TIDEGATE_AUTH_TOKEN_FAULT_H
#define TIDEGATE_AUTH_TOKEN_FAULT_H

/* Token fault: why a token, or a ticket, lets nobody in; a row of token_fault.def. 0 is no fault. */

enum token_fault {
	TOKEN_GOOD,
#define TOKEN_FAULT(id, name, sentence) TOKEN_##id,
#include "auth/token_fault.def"
#undef TOKEN_FAULT
	N_TOKEN_FAULTS,
};

/* One word, for the log and metrics: "no_exp". */
const char *token_fault_name(enum token_fault fault);

/* A sentence without a full stop, for people. */
const char *token_fault_sentence(enum token_fault fault);

#endif
