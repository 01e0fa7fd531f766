/* Commands: the table of subcommands, and their help; see the header. */

#include "cli/commands.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "config/suggest.h"
#include "core/buf.h"

const struct command commands[N_COMMANDS] = {
#define COMMAND(name, operands, fewest, most, heeds, help)                                                   \
	[COMMAND_##name] = {#name, operands, fewest, most, heeds, help},
#define COMMAND_FLAG(...)
#include "cli/commands.def"
#undef COMMAND
#undef COMMAND_FLAG
};

const struct command_flag command_flags[] = {
#define COMMAND(...)
#define COMMAND_FLAG(name, flag, takes, help) {COMMAND_##name, flag, takes, help},
#include "cli/commands.def"
#undef COMMAND
#undef COMMAND_FLAG
};

const size_t n_command_flags = sizeof(command_flags) / sizeof(command_flags[0]);

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

const char *command_meant(const char *name)
{
	const char *names[N_COMMANDS];

	for (size_t i = 0; i < N_COMMANDS; i++)
		names[i] = commands[i].name;
	return suggest(name, names, N_COMMANDS);
}

static bool is_of(const struct command_flag *flag, const struct command *command)
{
	return &commands[flag->command] == command;
}

const struct command_flag *command_flag_find(const struct command *command, const char *flag)
{
	for (size_t i = 0; i < n_command_flags; i++)
		if ((!command || is_of(&command_flags[i], command)) &&
			strcmp(command_flags[i].flag, flag) == 0)
			return &command_flags[i];
	return NULL;
}

static void write_flags(const struct command *command, const char *indent, struct buf *out)
{
	for (size_t i = 0; i < n_command_flags; i++) {
		const struct command_flag *flag = &command_flags[i];
		char usage[64];

		if (!is_of(flag, command))
			continue;
		snprintf(usage, sizeof(usage), "%s%s%s", flag->flag, flag->takes ? " " : "",
			flag->takes ? flag->takes : "");
		buf_printf(out, "%s%-20s %s\n", indent, usage, flag->help);
	}
}

void commands_help(struct buf *out)
{
	buf_append_str(out, "Tidegate: a WebSocket gateway for backends that already speak Redis.\n\n"
			    "Usage: tidegate COMMAND [OPTION...] [OPERAND...]\n\nCommands:\n");
	for (size_t i = 0; i < N_COMMANDS; i++) {
		char usage[64];

		snprintf(usage, sizeof(usage), "%s %s", commands[i].name, commands[i].operands);
		buf_printf(out, "  %-22s %s\n", usage, commands[i].help);
		write_flags(&commands[i], "    ", out);
	}
	buf_printf(out, "  %-22s %s\n", "bench", "Measure a deployment under load (tidegate bench --help)");
	buf_append_str(
		out, "\nOptions (each also as a TIDEGATE_... variable; file < environment < option):\n");
	config_help("*", out);
}

void command_help(const struct command *command, struct buf *out)
{
	buf_printf(out, "Usage: tidegate %s%s%s%s\n\n%s.\n", command->name,
		*command->heeds ? " [OPTION...]" : "", *command->operands ? " " : "", command->operands,
		command->help);
	write_flags(command, "  ", out);
	if (!*command->heeds)
		return;
	buf_append_str(
		out, "\nOptions (each also as a TIDEGATE_... variable; file < environment < option):\n");
	config_help(command->heeds, out);
}
