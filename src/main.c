/* The command line: splits words into subcommand, options and operands, and hands over. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/gateway.h"
#include "asyncapi/asyncapi.h"
#include "auth/json_memory.h"
#include "auth/verifier.h"
#include "bench/bench.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "config/config.h"
#include "core/buf.h"
#include "core/log.h"
#include "core/map.h"
#include "date.h"
#include "version.h"

enum {
	WORDS_MAX = 256, /* of a command line; more than anybody types */
};

/* The words after the subcommand. */
struct words {
	const char *file;                     /* --config */
	const char *flags[2 * WORDS_MAX + 1]; /* pairs */
	size_t n_flags;
	char *operands[WORDS_MAX + 1];
	int n_operands;
	bool help;
	struct { /* flags that this subcommand alone has, in their order */
		const struct command_flag *flag;
		const char *value; /* NULL if it takes none */
	} own[WORDS_MAX];
	size_t n_own;
};

/* The value of the subcommand's own flag, given last; "" if it takes none; NULL if it was not given. */
static const char *own_value(const struct words *words, const char *flag)
{
	const char *value = NULL;

	for (size_t i = 0; i < words->n_own; i++)
		if (strcmp(words->own[i].flag->flag, flag) == 0)
			value = words->own[i].value ? words->own[i].value : "";
	return value;
}

extern char **environ;

/* command: whose help says more. */
static int usage_error(const struct command *command, const char *sentence, const char *word)
{
	fprintf(stderr, "tidegate: %s '%s' (try: tidegate %s --help)\n", sentence, word, command->name);
	return EXIT_USAGE;
}

/* Tells why nothing is served: as text, or as a JSON line if the log is JSON. */
static void say_unfit(enum log_format format, const char *why)
{
	struct log *log = log_new(STDERR_FILENO, LOG_ERROR, LOG_FORMAT_JSON);

	if (format == LOG_FORMAT_JSON)
		log_error(log, "cannot start", log_str("reason", why));
	else
		fprintf(stderr, "tidegate: %s\n", why);
	log_free(log);
}

/* Can this configuration be served? 0, or EXIT_USAGE with one line on standard error. */
static int check_served(const struct config *config, enum log_format format)
{
	struct buf error = {0};
	int r = config_check_served(config, &error);

	if (r)
		say_unfit(format, buf_text(&error) ? buf_text(&error) : "not fit to be served");
	buf_deinit(&error);
	return r ? EXIT_USAGE : 0;
}

static int run_serve(const struct config *config, const struct words *words)
{
	const struct config_args args = {words->file, words->flags};
	int r = check_served(config, config->log_format);

	return r ? r : gateway_run(config, &args, environ);
}

static int run_publish(const struct config *config, const struct words *words)
{
	const struct cli_publication wanted = {words->operands[0], words->operands[1],
		own_value(words, "--history"), own_value(words, "--key")};

	return cli_publish(config, &wanted);
}

static int run_tail(const struct config *config, const struct words *words)
{
	return cli_tail(config, words->operands, words->n_operands);
}

static int run_action(const struct config *config, const struct words *words)
{
	const char *id = own_value(words, "--id"), *timeout = own_value(words, "--timeout");
	const struct cli_action wanted = {
		.path = words->operands[0],
		.json = words->operands[1],
		.url = own_value(words, "--url"),
		.id = id ? id : "1",
		.key = own_value(words, "--key"),
		.token = own_value(words, "--token"),
		.ca = own_value(words, "--ca"),
		.timeout = timeout ? timeout : "30s",
	};

	return cli_action(config, &wanted);
}

static int run_status(const struct config *config, const struct words *words)
{
	return cli_status(config, own_value(words, "--json"));
}

static int run_config(const struct config *config, const struct words *words)
{
	return cli_config(config, own_value(words, "--json"));
}

static int run_disconnect(const struct config *config, const struct words *words)
{
	return cli_disconnect(config, words->operands[0]);
}

static int run_control(const struct config *config, const struct words *words)
{
	static const char *const names[] = {"conn", "user", "token", "channel", "route", "reason", "code"};
	struct cli_control_member members[sizeof(names) / sizeof(names[0])];
	struct cli_control wanted = {.what = words->operands[0],
		.members = members,
		.has_user = own_value(words, "--user"),
		.lasts = own_value(words, "--for"),
		.as_json = own_value(words, "--json")};
	char flag[16];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(flag, sizeof(flag), "--%s", names[i]);
		if (own_value(words, flag))
			members[wanted.n_members++] = (struct cli_control_member){
				names[i], own_value(words, flag), strcmp(names[i], "code") == 0};
	}
	return cli_control(config, &wanted);
}

static int run_health(const struct config *config, const struct words *words)
{
	(void)words;
	return cli_health(config);
}

static int run_shard(const struct config *config, const struct words *words)
{
	return cli_shard(config, words->operands[0], own_value(words, "--key"));
}

static int run_functions(const struct config *config, const struct words *words)
{
	(void)config;
	(void)words;
	return cli_functions();
}

static int print(struct buf *out)
{
	int r = out->failed || fwrite(out->data, 1, out->len, stdout) != out->len || fflush(stdout);

	buf_deinit(out);
	return r;
}

/* Nothing that is wrong, so the exit code is that of the check. */
static void say_warnings(const struct config *config)
{
	struct config_warning warnings[CONFIG_WARNINGS_MAX];
	size_t n = config_warnings(config, warnings);

	for (size_t i = 0; i < n; i++)
		fprintf(stderr, "tidegate: warning: %s: %s: %s\n", warnings[i].what, warnings[i].message,
			warnings[i].remedy);
}

static int run_check(const struct config *config, const struct words *words)
{
	struct verifier *verifier = NULL;
	struct buf out = {0}, error = {0};
	int r = check_served(config, LOG_FORMAT_TEXT);

	(void)words;
	if (r)
		return r;
	r = config_verifier(config, NULL, &verifier, &error);
	if (r == 0) {
		config_print(config, verifier, &out);
		r = print(&out);
		say_warnings(config);
	} else {
		say_unfit(
			LOG_FORMAT_TEXT, buf_text(&error) && error.len ? buf_text(&error) : "out of memory");
		r = EXIT_USAGE;
	}
	verifier_unref(verifier);
	buf_deinit(&error);
	return r;
}

static int run_asyncapi(const struct config *config, const struct words *words)
{
	struct buf out = {0};

	(void)words;
	asyncapi_write(config, &out);
	return print(&out);
}

static int run_reload(const struct config *config, const struct words *words)
{
	(void)words;
	return cli_reload(config);
}

/* Flags say what to make, and a word is one to look at. */
static int run_token(const struct config *config, const struct words *words)
{
	const char *claims[WORDS_MAX], *expires = own_value(words, "--expires");
	struct cli_token wanted = {
		.token = words->operands[0],
		.user = own_value(words, "--user"),
		.channels = own_value(words, "--channels"),
		.expires = expires ? expires : "1h",
		.claims = claims,
	};

	if (words->n_own && wanted.token)
		return usage_error(&commands[COMMAND_token], "to look at a token there is no use for",
			words->own[0].flag->flag);
	if (!wanted.token && !wanted.user) {
		fputs("tidegate: usage: tidegate token --user NAME, or tidegate token TOKEN "
		      "(try: tidegate token --help)\n",
			stderr);
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < words->n_own; i++)
		if (strcmp(words->own[i].flag->flag, "--claim") == 0)
			claims[wanted.n_claims++] = words->own[i].value;
	return cli_token(config, &wanted);
}

static int run_manual(const struct config *config, const struct words *words)
{
	struct buf out = {0};

	(void)config;
	(void)words;
	commands_manual(TIDEGATE_VERSION, TIDEGATE_DATE, &out);
	return print(&out);
}

static int run_completion(const struct config *config, const struct words *words)
{
	struct buf out = {0};

	(void)config;
	(void)words;
	commands_completion(&out);
	return print(&out);
}

static int run_version(const struct config *config, const struct words *words)
{
	(void)config;
	(void)words;
	return puts("tidegate " TIDEGATE_VERSION) < 0;
}

static int (*const runs[N_COMMANDS])(const struct config *config, const struct words *words) = {
#define COMMAND(name, ...) run_##name,
#define COMMAND_FLAG(...)
#include "cli/commands.def"
#undef COMMAND
#undef COMMAND_FLAG
};

/* Prints the help of one command, or of all (NULL). */
static int print_help(const struct command *command, FILE *file)
{
	struct buf out = {0};

	if (command)
		command_help(command, &out);
	else
		commands_help(&out);
	fputs(buf_text(&out) ? buf_text(&out) : "out of memory\n", file);
	buf_deinit(&out);
	return 0;
}

static int refuse_command(const char *name)
{
	const char *meant = command_meant(name);

	if (meant)
		fprintf(stderr, "tidegate: unknown command '%s': did you mean %s? (try: tidegate --help)\n",
			name, meant);
	else
		fprintf(stderr, "tidegate: unknown command '%s' (try: tidegate --help)\n", name);
	return EXIT_USAGE;
}

static int refuse_flag(const struct command *command, const char *flag)
{
	struct buf sentence = {0};

	config_refuse_flag(flag, &sentence);
	fprintf(stderr, "tidegate: %s (try: tidegate %s --help)\n",
		buf_text(&sentence) ? buf_text(&sentence) : "unknown option", command->name);
	buf_deinit(&sentence);
	return EXIT_USAGE;
}

/* One that no option has, and this command neither. Another command's is no misspelt option. */
static int refuse_word(const struct command *command, const char *flag)
{
	return command_flag_find(NULL, flag) ? usage_error(command, "unknown option", flag)
					     : refuse_flag(command, flag);
}

/* Takes one option, with its value in the same word (--listen=…) or in the next. Returns how many words it
 * took, or -1. */
static int take_option(const struct command *command, struct words *words, char **argv, int left)
{
	char *value = strchr(argv[0], '=');
	int n = value ? 1 : 2;
	const struct command_flag *own;

	if (value)
		*value++ = '\0';
	own = command_flag_find(command, argv[0]);
	if (!own && strcmp(argv[0], "--config") && !config_is_flag(argv[0])) {
		refuse_word(command, argv[0]);
		return -1;
	}
	if (own && !own->takes) {
		words->own[words->n_own++].flag = own;
		return value ? (usage_error(command, "no value is wanted by", argv[0]), -1) : 1;
	}
	if (!value && left < 2) {
		usage_error(command, "a value is missing after", argv[0]);
		return -1;
	}
	if (!value)
		value = argv[1];
	if (!strcmp(argv[0], "--config")) {
		words->file = value;
		return n;
	}
	if (own) {
		words->own[words->n_own].flag = own;
		words->own[words->n_own++].value = value;
		return n;
	}
	words->flags[words->n_flags++] = argv[0];
	words->flags[words->n_flags++] = value;
	return n;
}

/* Options may stand before and after operands; "--" ends them. 0 or EXIT_USAGE. */
static int split(const struct command *command, struct words *words, int argc, char **argv)
{
	bool only_operands = false;

	if (argc > WORDS_MAX)
		return usage_error(command, "too many words after", argv[0]);
	for (int i = 0; i < argc;) {
		int n = 1;

		if (only_operands || argv[i][0] != '-' || !argv[i][1])
			words->operands[words->n_operands++] = argv[i];
		else if (!strcmp(argv[i], "--"))
			only_operands = true;
		else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			words->help = true;
		else
			n = take_option(command, words, argv + i, argc - i);
		if (n < 0)
			return EXIT_USAGE;
		i += n;
	}
	return 0;
}

static int check_operands(const struct command *command, const struct words *words)
{
	if (words->n_operands > command->operands_max)
		return usage_error(command, "unexpected word", words->operands[command->operands_max]);
	if (words->n_operands >= command->operands_min)
		return 0;
	fprintf(stderr, "tidegate: usage: tidegate %s %s (try: tidegate %s --help)\n", command->name,
		command->operands, command->name);
	return EXIT_USAGE;
}

/* `tidegate check FILE` is `tidegate check --config FILE`. */
static int take_file(const struct command *command, struct words *words)
{
	if ((command != &commands[COMMAND_check] && command != &commands[COMMAND_asyncapi]) ||
		words->n_operands == 0)
		return 0;
	if (words->file)
		return usage_error(command, "a second file:", words->operands[0]);
	words->file = words->operands[0];
	return 0;
}

static int run(const struct command *command, const struct words *words)
{
	struct config_args args = {words->file, words->flags};
	struct config *config = NULL;
	struct buf error = {0};
	int r;

	if (command == &commands[COMMAND_serve])
		gateway_hold_hangup();
	r = config_load(&args, environ, &config, &error);
	if (r == 0) {
		r = runs[command - commands](config, words);
	} else {
		fprintf(stderr, "tidegate: %s\n", r < 0 ? strerror(-r) : buf_text(&error));
		r = r < 0 ? 1 : EXIT_USAGE;
	}
	config_free(config);
	buf_deinit(&error);
	return r;
}

/* Reads the words behind the command's name, and runs it. */
static int run_words(const struct command *command, int argc, char **argv)
{
	struct words words = {0};
	int r = split(command, &words, argc, argv);

	if (r == 0 && words.help)
		return print_help(command, stdout);
	if (r == 0)
		r = check_operands(command, &words);
	if (r == 0)
		r = take_file(command, &words);
	if (r)
		return r;
	map_seed();
	json_memory_begin();
	/* A command that uses no option must not fail because of a wrong configuration. */
	return *command->heeds ? run(command, &words) : runs[command - commands](NULL, &words);
}

/* `help check` is `check --help`. */
static int help_with(int argc, char **argv)
{
	char *bench[] = {"bench", "--help", NULL};
	const struct command *command;

	if (argc == 0)
		return print_help(NULL, stdout);
	if (!strcmp(argv[0], "bench"))
		return bench_main(2, bench);
	command = command_find(argv[0]);
	return command ? print_help(command, stdout) : refuse_command(argv[0]);
}

/* If one of our sockets became descriptor 2, text for standard error would be sent to it. */
static void open_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	const struct command *command;

	open_standard_descriptors();
	if (argc < 2) {
		print_help(NULL, stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return print_help(NULL, stdout);
	if (!strcmp(argv[1], "help"))
		return help_with(argc - 2, argv + 2);
	if (!strcmp(argv[1], "bench"))
		return bench_main(argc - 1, argv + 1); /* talks to a deployment and has options of its own */
	command = command_find(strcmp(argv[1], "--version") ? argv[1] : "version");
	if (!command)
		return refuse_command(argv[1]);
	return run_words(command, argc - 2, argv + 2);
}
