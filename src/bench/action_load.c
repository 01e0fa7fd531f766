/* Action load: numbers under way; see the header. */

#include "bench/action_load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/crowd.h"
#include "core/clock.h"

#define REPLY "{\"type\":\"reply\",\"id\":"
#define ERROR "{\"type\":\"error\",\"id\":"
#define CODE  "\"code\":\""
#define OURS  "{\"type\":\"error\",\"data\":" /* of no action: that we say too much */

enum {
	TEXT_MAX = 160,
};

struct action_load *action_load_new(uint32_t n_clients)
{
	struct action_load *load = calloc(1, sizeof(*load));

	if (!load)
		return NULL;
	load->n_clients = n_clients;
	load->in_flight = calloc(n_clients, sizeof(*load->in_flight));
	load->carried = calloc(ACTIONS_MAX, sizeof(*load->carried));
	if (!load->in_flight || !load->carried) {
		action_load_free(load);
		return NULL;
	}
	snprintf(load->run, sizeof(load->run), "%08x", (uint32_t)clock_wall_ms() ^ (uint32_t)getpid() << 16);
	return load;
}

void action_load_free(struct action_load *load)
{
	if (!load)
		return;
	free(load->in_flight);
	free(load->carried);
	free(load);
}

/* The next one in turn that may have another under way; n_clients: none. */
static uint32_t choose_client(struct action_load *load)
{
	for (uint32_t i = 0; i < load->n_clients; i++) {
		uint32_t client = load->next_client;

		load->next_client = (client + 1) % load->n_clients;
		if (load->in_flight[client] < ACTIONS_OF_CLIENT_MAX)
			return client;
	}
	return load->n_clients;
}

bool action_load_send(struct action_load *load, struct crowd *crowd, uint64_t due_us)
{
	struct action_slot *slot = &load->slots[load->n_sent % ACTION_SLOTS];
	char text[TEXT_MAX];
	uint32_t client = load->n_sent < ACTIONS_MAX ? choose_client(load) : load->n_clients;
	int len;

	if (client == load->n_clients)
		return false;
	len = snprintf(text, sizeof(text),
		"{\"type\":\"action\",\"id\":%" PRIu64
		",\"data\":{\"name\":\"bench\",\"run\":\"%s\",\"n\":%" PRIu64 "}}",
		load->n_sent, load->run, load->n_sent);
	if (slot->open) { /* and will stay so: it was asked for 65,536 actions ago */
		load->n_lost++;
		load->n_open--;
		load->in_flight[slot->client]--;
	}
	*slot = (struct action_slot){load->n_sent, due_us, client, true};
	load->n_sent++;
	load->n_open++;
	load->in_flight[client]++;
	crowd_say(crowd, client, text, (size_t)len);
	return true;
}

/* The code of an error; the first one is kept for the report. */
static void read_code(struct action_load *load, const char *text, size_t len, char word[ACTION_CODE_MAX])
{
	const char *code = memmem(text, len, CODE, strlen(CODE));

	word[0] = '\0';
	if (code)
		snprintf(word, ACTION_CODE_MAX, "%.*s", (int)strcspn(code + strlen(CODE), "\""),
			code + strlen(CODE));
	if (!load->code[0])
		memcpy(load->code, word, ACTION_CODE_MAX);
}

/* After a timeout, or a link that broke, nobody knows what became of it. */
static void note_code(struct action_load *load, const char *text, size_t len)
{
	char word[ACTION_CODE_MAX];

	read_code(load, text, len, word);
	if (strcmp(word, "timeout") == 0 || strcmp(word, "unknown") == 0)
		load->n_lost++;
	else
		load->n_refused++;
}

bool action_load_hear(struct action_load *load, const char *text, size_t len, uint64_t now_us)
{
	bool is_reply = len > strlen(REPLY) && !memcmp(text, REPLY, strlen(REPLY));
	char digits[24], word[ACTION_CODE_MAX];
	struct action_slot *slot;
	uint64_t number;

	if (len > strlen(OURS) && !memcmp(text, OURS, strlen(OURS)))
		read_code(load, text, len, word); /* what was not read has no end, and is lost */
	if (!is_reply && !(len > strlen(ERROR) && !memcmp(text, ERROR, strlen(ERROR))))
		return false;
	snprintf(digits, sizeof(digits), "%.*s", (int)(len - strlen(REPLY)), text + strlen(REPLY));
	number = strtoull(digits, NULL, 10);
	slot = &load->slots[number % ACTION_SLOTS];
	if (!slot->open || slot->number != number) {
		load->n_doubled++;
		return true;
	}
	slot->open = false;
	load->n_open--;
	load->in_flight[slot->client]--;
	if (!is_reply) {
		note_code(load, text, len);
		return true;
	}
	load->n_answered++;
	if (slot->due_us >= load->from_us && slot->due_us < load->to_us)
		histogram_record(&load->latency, now_us > slot->due_us ? now_us - slot->due_us : 0);
	return true;
}

int action_load_carry(struct action_load *load, const char *data)
{
	char run[ACTION_RUN_LEN + 1];
	uint64_t number;

	if (sscanf(data, "{\"name\":\"bench\",\"run\":\"%8[0-9a-f]\",\"n\":%" SCNu64, run, &number) != 2 ||
		strcmp(run, load->run) != 0 || number >= ACTIONS_MAX)
		return -1;
	atomic_fetch_add_explicit(&load->carried[number], 1, memory_order_relaxed);
	return 0;
}

uint64_t action_load_twice(const struct action_load *load)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < load->n_sent; i++)
		n += atomic_load_explicit(&load->carried[i], memory_order_relaxed) > 1;
	return n;
}
