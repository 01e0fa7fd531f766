/*
 * Manual: the page for man(1), from the tables of subcommands and options.
 *
 * Texts of the tables are written as they are; only characters with a meaning for troff are escaped.
 */

#include "cli/commands.h"

#include <string.h>

#include "config/config.h"
#include "core/buf.h"

/* A line of text: a dash is a minus, and what opens a line must not be a request. */
static void write_text(struct buf *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		buf_append_str(out, "\\&");
	for (; *text; text++) {
		if (*text == '-')
			buf_append_str(out, "\\-");
		else if (*text == '\\')
			buf_append_str(out, "\\e");
		else
			buf_append_char(out, *text);
	}
}

static void write_item(struct buf *out, const char *term, const char *argument, const char *text)
{
	buf_append_str(out, ".TP\n.B ");
	write_text(out, term);
	if (argument && *argument) {
		buf_append_str(out, " \\fI");
		write_text(out, argument);
		buf_append_str(out, "\\fR");
	}
	buf_append_char(out, '\n');
	write_text(out, text);
	buf_append_char(out, '\n');
}

static void write_commands(struct buf *out)
{
	buf_append_str(out, ".SH COMMANDS\n");
	for (size_t i = 0; i < N_COMMANDS; i++) {
		write_item(out, commands[i].name, commands[i].operands, commands[i].help);
		for (size_t j = 0; j < n_command_flags; j++) {
			const struct command_flag *flag = &command_flags[j];

			if (flag->command != i)
				continue;
			buf_append_str(out, ".RS\n");
			write_item(out, flag->flag, flag->takes, flag->help);
			buf_append_str(out, ".RE\n");
		}
	}
	write_item(out, "bench", NULL, "Measure a deployment under load: tidegate bench --help");
}

/* The lines of config_help(): an option is indented by two spaces, its description by six. */
static void write_options(struct buf *out)
{
	struct buf help = {0};
	char *line, *rest;

	config_help("*", &help);
	rest = buf_text(&help) ? help.data : NULL;
	out->failed |= !rest;
	buf_append_str(
		out, ".SH OPTIONS\nA flag counts more than a variable, a variable more than the file.\n");
	while (rest && (line = strsep(&rest, "\n")) && *line) {
		size_t indent = strspn(line, " ");

		buf_append_str(out, indent == 2 ? ".TP\n.B " : strstr(line, "default ") ? ".br\n" : "");
		write_text(out, line + indent);
		buf_append_char(out, '\n');
	}
	buf_deinit(&help);
}

void commands_manual(const char *version, const char *date, struct buf *out)
{
	buf_printf(out, ".TH TIDEGATE 1 \"%s\" \"tidegate %s\"\n", date, version);
	buf_append_str(out,
		".SH NAME\ntidegate \\- WebSocket gateway for backends that already speak Redis\n"
		".SH SYNOPSIS\n.B tidegate\n.I COMMAND\n[\\fIOPTION\\fR...] [\\fIOPERAND\\fR...]\n"
		".SH DESCRIPTION\nA backend publishes an event in Redis, and every browser that is "
		"connected to one of any number of gateways receives it.\n");
	write_commands(out);
	write_options(out);
	buf_append_str(out,
		".SH EXIT STATUS\n0: done. 1: it failed, and one line on standard error says why. 2: "
		"wrong words or a wrong configuration; nothing was done.\n"
		".SH FILES\n.TP\n.I /etc/tidegate/tidegate.yaml\nThe file that the systemd unit "
		"names, in TIDEGATE_CONFIG.\n");
}
