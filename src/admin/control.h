#ifndef TIDEGATE_ADMIN_CONTROL_H
#define TIDEGATE_ADMIN_CONTROL_H

/*
 * Admin control: a control command that an operator gives to all nodes, and their answers.
 *
 *     subscribe to a channel for the answers ─┐
 *     list the nodes that are announced ──────┴─► publish the command ──► gather, for 2 s at most ──► answer
 *
 * It outlives its request while the broker still has to call back.
 */

struct admin_control;
struct admin_request;

/* The request has gone. Accepts NULL. */
void admin_control_leave(struct admin_control *control);

#endif
