/* Control log: reads the commands of the last hour; see the header. */

#include "bus/control_log.h"

#include "broker/broker.h"
#include "bus/bus_private.h"
#include "bus/control.h"

enum {
	PAGE = 200, /* commands that are read at once */
};

static void read_page(struct control_log *log);

static void finish(struct control_log *log)
{
	uint64_t missed = log->missed_next;

	log->reading = false;
	log->missed = log->missed_next = 0;
	if (log->again)
		control_log_read(log, missed);
	else
		revoking_read_log(&log->control->revoking);
}

static void take(struct control_log *log, const struct broker_log_entry *entry)
{
	if (!entry->payload.data)
		return; /* larger than any command */
	if (entry->offset <= log->missed && entry->offset > log->at)
		control_take(log->control, entry->payload);
	else
		revoking_read_command(&log->control->revoking, entry->payload);
	if (entry->offset > log->at)
		log->at = entry->offset;
}

static void on_page(void *arg, int r, const struct position *top, const struct broker_log_entry *entries,
	size_t n_entries)
{
	struct control_log *log = arg;
	uint64_t before = log->at;

	for (size_t i = 0; i < n_entries; i++)
		take(log, &entries[i]);
	if (r == 0 && log->at < top->offset && log->at > before)
		read_page(log);
	else
		finish(log);
}

static void read_page(struct control_log *log)
{
	const struct control *control = log->control;
	int r = broker_log_read(control->bus->broker, own_channel_name(&control->commands), log->at, PAGE,
		BUS_CONTROL_LOG_TTL_MS, on_page, log);

	log->reading = r == 0;
	if (r < 0) /* what follows is heard in any case */
		finish(log);
}

void control_log_read(struct control_log *log, uint64_t missed)
{
	log->again = log->reading;
	if (log->reading) {
		log->missed_next = missed > log->missed_next ? missed : log->missed_next;
		return;
	}
	log->missed = missed;
	log->at = 0;
	read_page(log);
}
