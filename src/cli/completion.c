/* Completion: the words of the command line for bash, from the tables of subcommands and options. */

#include "cli/commands.h"

#include "config/config.h"
#include "core/buf.h"

static const char script_start[] =
	"# Completion of tidegate(1) for bash. Made by `tidegate completion`.\n"
	"_tidegate()\n"
	"{\n"
	"\tlocal current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} words\n"
	"\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n"
	"\t\twords='";

static const char script_values[] = " bench'\n"
				    "\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
				    "\t\treturn\n"
				    "\tfi\n"
				    "\tcase $previous in\n"
				    "\t--config)\n"
				    "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
				    "\t\treturn\n"
				    "\t\t;;\n";

static const char script_end[] =
	"\tesac\n"
	"\tif [ \"${COMP_WORDS[1]}\" = check ] && [ \"${current#-}\" = \"$current\" ]; then\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
	"\telse\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
	"\tfi\n"
	"}\n"
	"complete -o filenames -F _tidegate tidegate\n";

static void write_words_of(const struct command *command, struct buf *out)
{
	buf_printf(out, "\t%s) words='--help", command->name);
	for (size_t i = 0; i < n_command_flags; i++)
		if (&commands[command_flags[i].command] == command)
			buf_printf(out, " %s", command_flags[i].flag);
	config_flags(command->heeds, out);
	buf_append_str(out, "' ;;\n");
}

void commands_completion(struct buf *out)
{
	buf_append_str(out, script_start);
	for (size_t i = 0; i < N_COMMANDS; i++)
		buf_printf(out, i ? " %s" : "%s", commands[i].name);
	buf_append_str(out, script_values);
	config_flag_words(out);
	buf_append_str(out, "\tesac\n\twords=--help\n\tcase ${COMP_WORDS[1]} in\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		write_words_of(&commands[i], out);
	buf_append_str(out, script_end);
}
