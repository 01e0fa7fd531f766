#ifndef TIDEGATE_CLI_COMMANDS_H
#define TIDEGATE_CLI_COMMANDS_H

/* Commands: the table of subcommands, and the texts that are made from it: help, manual page, completion. */

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
	const char *heeds; /* the options that it uses, as config_help() takes them */
	const char *help;
};

/* A flag of one subcommand only. */
struct command_flag {
	enum command_id command;
	const char *flag;
	const char *takes; /* the name of its value; NULL if it takes no value */
	const char *help;
};

extern const struct command commands[N_COMMANDS];
extern const struct command_flag command_flags[];
extern const size_t n_command_flags;

const struct command *command_find(const char *name); /* NULL if there is no such command */
const char *command_meant(const char *name);          /* whose name is near; NULL if none is */

/* The command's own flag of this name; NULL if it has none. Of any command (NULL). */
const struct command_flag *command_flag_find(const struct command *command, const char *flag);

/* The help of all commands, with their flags and all options; and of one command, with the
 * options that it uses. */
void commands_help(struct buf *out);
void command_help(const struct command *command, struct buf *out);

/* The manual page, for man(1): tidegate.1. */
void commands_manual(const char *version, const char *date, struct buf *out);

/* The completion for bash. */
void commands_completion(struct buf *out);

#endif
