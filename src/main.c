/* The command line: splits words into subcommand, options and operands, and hands over. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/gateway.h"
#include "bench/bench.h"
#include "cli/cli.h"
#include "config/config.h"
#include "core/buf.h"
#include "core/map.h"

enum {
	WORDS_MAX = 256, /* of a command line; nobody types more */
};

/* What the words after the subcommand were. */
struct words {
	const char *file;                     /* --config */
	const char *flags[2 * WORDS_MAX + 1]; /* pairs */
	size_t n_flags;
	char *operands[WORDS_MAX + 1];
	int n_operands;
	bool help;
	/* Words of some subcommands only, as their usage says. */
	bool json;
	bool history;
	const char *key;
};

struct subcommand {
	const char *name;
	const char *operands; /* for the help text */
	int operands_min;
	int operands_max;
	int (*run)(const struct config *config, const struct words *words);
	const char *help;
	const char *options_help; /* of those that it alone has; what is not in there is unknown */
};

extern char **environ;

/* Is it fit to be served? 0, or EXIT_USAGE with one line on standard error. */
static int check_served(const struct config *config)
{
	struct buf error = {0};
	int r = config_check_served(config, &error);

	if (r)
		fprintf(stderr, "tidegate: %s\n",
			buf_text(&error) ? buf_text(&error) : "not fit to be served");
	buf_deinit(&error);
	return r ? EXIT_USAGE : 0;
}

static int run_serve(const struct config *config, const struct words *words)
{
	const struct config_args args = {words->file, words->flags};
	int r = check_served(config);

	return r ? r : gateway_run(config, &args, environ);
}

static int run_publish(const struct config *config, const struct words *words)
{
	const struct cli_publication wanted = {
		words->operands[0], words->operands[1], words->history, words->key};

	return cli_publish(config, &wanted);
}

static int run_tail(const struct config *config, const struct words *words)
{
	return cli_tail(config, words->operands, words->n_operands);
}

static int run_status(const struct config *config, const struct words *words)
{
	return cli_status(config, words->json);
}

static int run_disconnect(const struct config *config, const struct words *words)
{
	return cli_disconnect(config, words->operands[0]);
}

static int run_health(const struct config *config, const struct words *words)
{
	(void)words;
	return cli_health(config);
}

static int run_functions(const struct config *config, const struct words *words)
{
	(void)config;
	(void)words;
	return cli_functions();
}

static int run_check(const struct config *config, const struct words *words)
{
	struct buf out = {0};
	int r = check_served(config);

	(void)words;
	if (r)
		return r;
	config_print(config, &out);
	fwrite(out.data, 1, out.len, stdout);
	buf_deinit(&out);
	return fflush(stdout) ? 1 : 0;
}

static int run_reload(const struct config *config, const struct words *words)
{
	(void)words;
	return cli_reload(config);
}

static int run_version(const struct config *config, const struct words *words)
{
	(void)config;
	(void)words;
	return puts("tidegate " TIDEGATE_VERSION) < 0;
}

static const struct subcommand subcommands[] = {
	{"serve", "", 0, 0, run_serve, "Run the gateway until SIGTERM or Ctrl-C", ""},
	{"publish", "CHANNEL JSON", 2, 2, run_publish,
		"Publish one event: to the Redis that is configured, or else through a gateway's admin port",
		"    --history            to the channel's log too, also if no route here keeps one; else "
		"fail\n"
		"    --key KEY            once, however often it is repeated within two minutes; needs the "
		"log\n"},
	{"tail", "CHANNEL...", 1, WORDS_MAX, run_tail,
		"Print the events of channels as a subscriber sees them", ""},
	{"status", "", 0, 0, run_status,
		"Say how a gateway is, and the others of its Redis: through its admin port",
		"    --json               the answer of the admin API as it is\n"},
	{"disconnect", "ID", 1, 1, run_disconnect,
		"Close one connection of a gateway: through its admin port, with the id that its log gives",
		""},
	{"health", "", 0, 0, run_health,
		"Ask the gateway at the admin address whether it lives; exit code 0 or 1", ""},
	{"functions", "", 0, 0, run_functions,
		"Print the library for Redis, to be piped to redis-cli -x FUNCTION LOAD REPLACE", ""},
	{"check", "", 0, 0, run_check,
		"Validate the configuration and print it with where each value came from", ""},
	{"reload", "", 0, 0, run_reload,
		"Have the gateway at the admin address read its configuration anew, as SIGHUP does", ""},
	{"version", "", 0, 0, run_version, "Print the version", ""},
};

static const size_t n_subcommands = sizeof(subcommands) / sizeof(subcommands[0]);

static void print_help(FILE *out)
{
	struct buf options = {0};

	fputs("Tidegate: a WebSocket gateway for backends that already speak Redis.\n\n"
	      "Usage: tidegate COMMAND [OPTION...] [OPERAND...]\n\nCommands:\n",
		out);
	for (size_t i = 0; i < n_subcommands; i++) {
		char usage[64];

		snprintf(usage, sizeof(usage), "%s %s", subcommands[i].name, subcommands[i].operands);
		fprintf(out, "  %-22s %s\n%s", usage, subcommands[i].help, subcommands[i].options_help);
	}
	fprintf(out, "  %-22s %s\n", "bench", "Measure a deployment under load (tidegate bench --help)");
	config_help(&options);
	fprintf(out, "\nOptions (each also as a TIDEGATE_... variable; file < environment < option):\n%s",
		buf_text(&options));
	buf_deinit(&options);
}

static int usage_error(const char *sentence, const char *word)
{
	fprintf(stderr, "tidegate: ");
	fprintf(stderr, "%s '%s' (try: tidegate --help)\n", sentence, word);
	return EXIT_USAGE;
}

static int refuse_flag(const char *flag)
{
	struct buf sentence = {0};

	config_refuse_flag(flag, &sentence);
	fprintf(stderr, "tidegate: %s (try: tidegate --help)\n",
		buf_text(&sentence) ? buf_text(&sentence) : "unknown flag");
	buf_deinit(&sentence);
	return EXIT_USAGE;
}

static const struct subcommand *find_subcommand(const char *name)
{
	for (size_t i = 0; i < n_subcommands; i++)
		if (!strcmp(subcommands[i].name, name))
			return &subcommands[i];
	return NULL;
}

/* One option, its value in the same word (--listen=…) or the next. How many words it took, or -1. */
static int take_option(struct words *words, char **argv, int left)
{
	char *value = strchr(argv[0], '=');
	int n = value ? 1 : 2;

	if (value)
		*value++ = '\0';
	if (strcmp(argv[0], "--config") && strcmp(argv[0], "--key") && !config_is_flag(argv[0])) {
		refuse_flag(argv[0]);
		return -1;
	}
	if (!value && left < 2) {
		usage_error("a value is missing after", argv[0]);
		return -1;
	}
	if (!value)
		value = argv[1];
	if (!strcmp(argv[0], "--config")) {
		words->file = value;
		return n;
	}
	if (!strcmp(argv[0], "--key")) {
		words->key = value;
		return n;
	}
	words->flags[words->n_flags++] = argv[0];
	words->flags[words->n_flags++] = value;
	return n;
}

/* Options may stand before and after operands; "--" ends them. 0 or EXIT_USAGE. */
static int split(struct words *words, int argc, char **argv)
{
	bool only_operands = false;

	if (argc > WORDS_MAX)
		return usage_error("too many words after", argv[0]);
	for (int i = 0; i < argc;) {
		int n = 1;

		if (only_operands || argv[i][0] != '-' || !argv[i][1])
			words->operands[words->n_operands++] = argv[i];
		else if (!strcmp(argv[i], "--"))
			only_operands = true;
		else if (!strcmp(argv[i], "--json"))
			words->json = true;
		else if (!strcmp(argv[i], "--history"))
			words->history = true;
		else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			words->help = true;
		else
			n = take_option(words, argv + i, argc - i);
		if (n < 0)
			return EXIT_USAGE;
		i += n;
	}
	return 0;
}

static int check_operands(const struct subcommand *subcommand, const struct words *words)
{
	const char *used[] = {words->json ? "--json" : NULL, words->history ? "--history" : NULL,
		words->key ? "--key" : NULL};

	for (size_t i = 0; i < sizeof(used) / sizeof(used[0]); i++)
		if (used[i] && !strstr(subcommand->options_help, used[i]))
			return usage_error("unknown option", used[i]);
	if (words->n_operands > subcommand->operands_max)
		return usage_error("unexpected word", words->operands[subcommand->operands_max]);
	if (words->n_operands >= subcommand->operands_min)
		return 0;
	fprintf(stderr, "tidegate: usage: tidegate %s %s\n", subcommand->name, subcommand->operands);
	return EXIT_USAGE;
}

static int run(const struct subcommand *subcommand, const struct words *words)
{
	struct config_args args = {words->file, words->flags};
	struct config *config = NULL;
	struct buf error = {0};
	int r = config_load(&args, environ, &config, &error);

	if (r == 0) {
		r = subcommand->run(config, words);
	} else {
		fprintf(stderr, "tidegate: %s\n", r < 0 ? strerror(-r) : buf_text(&error));
		r = r < 0 ? 1 : EXIT_USAGE;
	}
	config_free(config);
	buf_deinit(&error);
	return r;
}

int main(int argc, char **argv)
{
	const struct subcommand *subcommand;
	struct words words = {0};
	int r;

	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_help(stdout);
		return 0;
	}
	if (!strcmp(argv[1], "bench"))
		return bench_main(argc - 1, argv + 1); /* talks to a deployment and has options of its own */
	subcommand = find_subcommand(strcmp(argv[1], "--version") ? argv[1] : "version");
	if (!subcommand)
		return usage_error("unknown command", argv[1]);
	r = split(&words, argc - 2, argv + 2);
	if (r == 0 && words.help) {
		print_help(stdout);
		return 0;
	}
	if (r == 0)
		r = check_operands(subcommand, &words);
	if (r)
		return r;
	map_seed();
	return run(subcommand, &words);
}
