#ifndef TIDEGATE_CORE_MAILBOX_H
#define TIDEGATE_CORE_MAILBOX_H

/*
 * Mailbox: how one thread hands things to another.
 *
 * Many threads push, one takes. First in, first out per pusher. The taker sleeps on mailbox_fd(), which
 * becomes readable when the box turns from empty to not empty: one wake-up per batch, however long it is.
 * Mail in a box belongs to the box; the thread that takes it owns it.
 *
 * Any thread may push; only the owner of the box takes and frees. Where all of them are one thread, it needs
 * no descriptor to be woken: see mailbox_wake_by().
 */

#include <stdbool.h>

struct mail {
	struct mail *next;
};

struct mailbox;

/* NULL when out of memory or of file descriptors (errno says which). */
struct mailbox *mailbox_new(void);

/* The box must be empty: its owner knows how to free the mail in it, the box does not. Accepts NULL. */
void mailbox_free(struct mailbox *box);

/* The descriptor that becomes readable, for poll or libevent. Borrowed until mailbox_free(). */
int mailbox_fd(const struct mailbox *box);

/* Only the taker pushes from now on: wake() is called in the place of the descriptor becoming readable. It
 * must not take the mail. */
typedef void (*mailbox_wake_fn)(void *arg);
void mailbox_wake_by(struct mailbox *box, mailbox_wake_fn wake, void *arg);

void mailbox_push(struct mailbox *box, struct mail *mail);

/* Takes all mail, the oldest first, linked by next and ended by NULL; NULL when empty.
 * Clears the wake-up first. */
struct mail *mailbox_take(struct mailbox *box);

#endif
