#ifndef TIDEGATE_BROKER_REDIS_SCRIPT_H
#define TIDEGATE_BROKER_REDIS_SCRIPT_H

/*
 * Redis script: tidegate.lua, which is part of this program, in the forms that servers take. Redis 7 and
 * newer take it whole, as a library of functions. Others take one script for each function: the same text
 * without its first line, which names the library, and with a last one that calls the function.
 */

#include <stdint.h>

struct buf;

enum redis_function {
	REDIS_FUNCTION_PUBLISH,
	REDIS_FUNCTION_READ,
	REDIS_FUNCTION_ACTION,
	REDIS_FUNCTION_PRESENCE,
	REDIS_FUNCTION_LEAVE,
	REDIS_FUNCTION_PRESENT,
	REDIS_FUNCTION_LEASE,
	REDIS_FUNCTION_HOLDS,
	REDIS_FUNCTION_SESSION,
	REDIS_FUNCTION_LOST,
	N_REDIS_FUNCTIONS,
};

/* Both append; out is failed when there is no memory. */
void redis_script_library(struct buf *out);
void redis_script_of(enum redis_function function, struct buf *out);

const char *redis_function_name(enum redis_function function);

/* The rights that a user needs for what it does within, as ACL SETUSER takes them. */
const char *redis_function_needs(enum redis_function function);

/* The version that tidegate_version answers. */
uint32_t redis_script_version(void);

#endif
