#ifndef TIDEGATE_BUS_BUS_MAIL_H
#define TIDEGATE_BUS_BUS_MAIL_H

/* Bus mail: what the bus' inbox holds. First member of each kind: a mail is cast back. */

#include "core/mailbox.h"

enum bus_mail_kind {
	BUS_INTEREST,
	BUS_JOIN,
};

struct bus_mail {
	struct mail mail;
	enum bus_mail_kind kind;
};

#endif
