/* Ticket form: what a ticket looks like; see the header. */

#include "auth/ticket_form.h"

#include "core/text.h"

bool ticket_form_good(struct slice ticket)
{
	if (ticket.len < TICKET_MIN || ticket.len > TICKET_MAX)
		return false;
	for (size_t i = 0; i < ticket.len; i++) {
		char c = ticket.data[i];

		if (!text_is_alpha(c) && !text_is_digit(c) && c != '-' && c != '_')
			return false;
	}
	return true;
}
