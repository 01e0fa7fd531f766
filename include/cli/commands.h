#ifndef TIDEGATE_CLI_COMMANDS_H
#define TIDEGATE_CLI_COMMANDS_H

/* Commands: the table of subcommands, and what is written of it: help, manual page, completion. */

#include <stdbool.h>
#include <stddef.h>

struct buf;

enum command_id {
#define COMMAND(name, ...) COMMAND_##name,
#define COMMAND_FLAG(...)
#include "cli/commands.def"
#undef COMMAND
#undef COMMAND_FLAG
	N_COMMANDS,
};

struct command {
	const char *name;
	const char *operands; /* for the help text */
	int operands_min;
	int operands_max;
	const char *heeds; /* options, as config_help() takes them */
	const char *help;
};

/* A flag of one subcommand only. */
struct command_flag {
	enum command_id command;
	const char *flag;
	const char *takes; /* NULL: nothing */
	const char *help;
};

extern const struct command commands[N_COMMANDS];
extern const struct command_flag command_flags[];
extern const size_t n_command_flags;

const struct command *command_find(const char *name); /* NULL: there is none */

bool command_has_flag(const struct command *command, const char *flag);

/* Of all commands, with their flags and all options; of one, with what it heeds. */
void commands_help(struct buf *out);
void command_help(const struct command *command, struct buf *out);

/* The manual page, for man(1): tidegate.1. */
void commands_manual(const char *version, const char *date, struct buf *out);

/* The completion for bash. */
void commands_completion(struct buf *out);

#endif
