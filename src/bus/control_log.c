/* Control log: reads the commands of the last hour; see the header. */

#include "bus/control_log.h"

#include "broker/broker.h"
#include "bus/bus_private.h"
#include "bus/control.h"

enum {
	PAGE = 200, /* commands that are read at once */
};

static void read_page(struct control_log *log);

/* r < 0: the read after the next connect takes the rest of what was missed. */
static void finish(struct control_log *log, int r)
{
	struct position missed = log->missed_next;

	log->reading = false;
	log->missed_next = (struct position){0};
	if (r == 0) {
		log->missed = (struct position){0};
		log->taken = 0;
	}
	if (log->again)
		control_log_read(log, &missed);
	else
		revoking_read_log(&log->control->revoking);
}

static void take(struct control_log *log, const struct epoch *epoch, const struct broker_log_entry *entry)
{
	bool is_missed = entry->offset <= log->missed.offset && entry->offset > log->taken &&
			 epoch_equal(epoch, &log->missed.epoch);

	if (!entry->payload.data)
		return; /* larger than any command */
	if (is_missed) {
		control_take(log->control, entry->payload);
		log->taken = entry->offset;
	} else if (entry->offset > log->at)
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
		take(log, &top->epoch, &entries[i]);
	if (r == 0 && log->at < top->offset && log->at > before)
		read_page(log);
	else
		finish(log, r);
}

static void read_page(struct control_log *log)
{
	const struct control *control = log->control;
	int r = broker_log_read(control->bus->broker, own_channel_name(&control->commands), log->at, PAGE,
		BUS_CONTROL_LOG_TTL_MS, on_page, log);

	log->reading = r == 0;
	if (r < 0) /* what follows is heard in any case */
		finish(log, r);
}

void control_log_read(struct control_log *log, const struct position *missed)
{
	log->again = log->reading;
	if (log->reading) {
		if (missed)
			log->missed_next = *missed;
		return;
	}
	if (missed && missed->offset) {
		if (!epoch_equal(&missed->epoch, &log->missed.epoch))
			log->taken = 0;
		log->missed = *missed;
	}
	log->at = 0;
	read_page(log);
}
