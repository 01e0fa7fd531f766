/* Orders: what client/orders.h promises: each concerns whom it names, once, and holds nothing up. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "client/orders.h"
#include "mail/order.h"
#include "support/clients_world.h"

#define ANA "{'sub':'ana','jti':'t1','iat':1767225000,'exp':1767229200}"
#define BOB "{'sub':'bob','exp':1767229200}"

struct outcome {
	bool done;
	int r;
	uint64_t n;
};

static void on_done(void *arg, int r, uint64_t n)
{
	*(struct outcome *)arg = (struct outcome){true, r, n};
}

static struct order *give(struct world *world, const struct order_text *text, struct outcome *outcome)
{
	struct order *order = order_new(text, 1, on_done, outcome);

	*outcome = (struct outcome){0};
	assert_non_null(order);
	order_send(&order->parts[0]);
	orders_take(&world->clients, &order->parts[0]);
	return order;
}

/* All that is to be done; how many steps that took. */
static unsigned int carry_out(struct world *world)
{
	struct order_part *part;
	unsigned int n = 0;
	bool goes_on;

	do {
		goes_on = orders_step(&world->clients, &part);
		if (part)
			order_return(part);
		n++;
	} while (goes_on);
	turn(world);
	return n;
}

/* Gives it and has it carried out. Returns for how many. */
static uint64_t order(struct world *world, struct order_text text)
{
	struct outcome outcome;

	give(world, &text, &outcome);
	carry_out(world);
	assert_true(outcome.done);
	assert_int_equal(outcome.r, 0);
	return outcome.n;
}

static struct order_text text(enum order_verb verb, enum order_target target, const char *name)
{
	return (struct order_text){
		.verb = verb, .target = target, .name = slice_of(name), .reason = CLOSE_DISCONNECTED};
}

static void closes_whom_it_names_and_nobody_else(void **state)
{
	struct world *world = *state;
	struct peer *ana = opened_as(world, 0, CARDS, ANA), *bob = opened_as(world, 1, CARDS, BOB);
	struct peer *nobody = opened(world, 2, CARDS);

	assert_int_equal(order(world, text(ORDER_DISCONNECT, ORDER_USER, "anna")), 0);
	assert_int_equal(order(world, text(ORDER_DISCONNECT, ORDER_TOKEN, "")), 0);
	assert_int_equal(order(world, text(ORDER_DISCONNECT, ORDER_TOKEN, "t2")), 0);
	assert_int_equal(order(world, text(ORDER_DISCONNECT, ORDER_USER, "ana")), 1);
	hears(ana, "close:4010 ");
	assert_int_equal(order(world, text(ORDER_DISCONNECT, ORDER_USER, "ana")), 0);
	assert_int_equal(order(world, text(ORDER_DISCONNECT, ORDER_ROUTE, "/ws/other")), 0);
	assert_int_equal(order(world, text(ORDER_DISCONNECT, ORDER_CHANNEL, "other")), 0);
	hears(bob, "");
	assert_int_equal(order(world, (struct order_text){.verb = ORDER_DISCONNECT,
					      .target = ORDER_CONNECTION,
					      .reason = CLOSE_DISCONNECTED,
					      .conn = bob->client.id}),
		1);
	hears(bob, "close:4010 ");
	hears(nobody, "");
	assert_int_equal(order(world, text(ORDER_DISCONNECT, ORDER_CHANNEL, "cards")), 1);
	hears(nobody, "close:4010 ");
}

static void says_what_the_backend_says(void **state)
{
	struct world *world = *state;
	struct peer *ana = opened_as(world, 0, CARDS, ANA);
	struct order_text words = text(ORDER_DISCONNECT, ORDER_TOKEN, "t1");

	words.code = 4242;
	words.words = slice_of("pay first");
	assert_int_equal(order(world, words), 1);
	assert_string_equal(client_farewell(&ana->client), "pay first");
	hears(ana, "close:4242 ");
}

static void gives_a_channel_and_takes_it_away(void **state)
{
	struct world *world = *state;
	struct peer *ana = opened_as(world, 0, CARDS, ANA);
	struct order_text give_it = text(ORDER_SUBSCRIBE, ORDER_USER, "ana");
	struct order_text take_it = text(ORDER_UNSUBSCRIBE, ORDER_USER, "ana");

	give_it.channel = take_it.channel = slice_of("secret");
	ask_for(world, ana, "subscribe", "secret");
	hears(ana, "error(forbidden) ");
	assert_int_equal(order(world, give_it), 1);
	hears(ana, "");
	confirm_all(world);
	turn(world);
	hears(ana, "subscribed(secret) ");
	publish(world, "secret", 1);
	turn(world);
	hears(ana, "e1 ");
	assert_int_equal(order(world, give_it), 1);
	hears(ana, "subscribed(secret) ");
	assert_int_equal(order(world, take_it), 1);
	hears(ana, "unsubscribed(secret) ");
	assert_int_equal(order(world, take_it), 0);
	publish(world, "secret", 2);
	turn(world);
	hears(ana, "");
}

static void meets_nobody_twice_who_comes_back_meanwhile(void **state)
{
	struct world *world = *state;
	struct peer *ana = opened_as(world, 0, CARDS, ANA), *again;
	struct order_text who = text(ORDER_DISCONNECT, ORDER_USER, "ana");
	struct outcome outcome;

	give(world, &who, &outcome);
	again = opened_as(world, 1, CARDS, ANA);
	carry_out(world);
	assert_int_equal(outcome.n, 1);
	hears(ana, "close:4010 ");
	hears(again, "");
}

static void goes_on_when_the_client_that_it_came_to_leaves(void **state)
{
	struct world *world = *state;
	struct peer *ana = opened_as(world, 0, CARDS, ANA), *bob = opened_as(world, 1, CARDS, BOB);
	struct order_text all = text(ORDER_DISCONNECT, ORDER_CHANNEL, "cards");
	struct outcome outcome;

	give(world, &all, &outcome);
	client_deinit(&ana->client); /* the order would have begun with it */
	carry_out(world);
	assert_int_equal(outcome.n, 1);
	hears(bob, "close:4010 ");
}

static void asks_for_a_fresh_token_and_closes_without_one(void **state)
{
	struct world *world = *state;
	struct peer *ana = opened_as(world, 0, CARDS, ANA), *bob = opened_as(world, 1, CARDS, BOB);

	client_speaks(&ana->client);
	assert_int_equal(order(world, text(ORDER_REFRESH, ORDER_USER, "ana")), 1);
	assert_int_equal(order(world, text(ORDER_REFRESH, ORDER_USER, "bob")), 1);
	hears(ana, "refresh ");
	hears(bob, ""); /* it would not understand */
	pass(world, 29000);
	hears(ana, "ping! ");
	pass(world, 2500);
	hears(ana, "close:4001 ");
	assert_string_equal(client_farewell(&ana->client), "token_expired");
	assert_string_equal(close_reason_sentence(ana->client.reason), "no fresh token came in time");
}

/* Its handshake was judged before the order came: it must not slip in behind it. */
static void closes_who_is_about_to_come_in(void **state)
{
	struct world *world = *state;
	struct peer *peer = &world->peers[0];
	struct order_text give_it = text(ORDER_SUBSCRIBE, ORDER_CHANNEL, "cards");

	clients_connected(&world->clients, true);
	assert_int_equal(begin_as(world, peer, CARDS, ANA), CLIENT_HELD);
	give_it.channel = slice_of("secret");
	assert_int_equal(
		order(world, give_it), 0); /* nobody could have asked before its handshake's answer */
	assert_int_equal(order(world, text(ORDER_DISCONNECT, ORDER_USER, "ana")), 1);
	assert_int_equal(peer->n_aborts, 1);
	client_deinit(&peer->client);
}

static void gives_back_what_it_does_not_come_to(void **state)
{
	struct world *world = *state;
	struct order_text all = text(ORDER_DISCONNECT, ORDER_CHANNEL, "cards");
	struct outcome outcome;
	struct order_part *part;

	give(world, &all, &outcome);
	part = orders_give_up(&world->clients);
	assert_non_null(part);
	order_return(part);
	assert_true(outcome.done);
	assert_int_equal(outcome.n, 0);
	assert_null(orders_give_up(&world->clients));
	assert_int_equal(carry_out(world), 1);
}

/* What was given before it would otherwise come to a client that must not be there any more. */
static void revocations_go_before_orders_that_have_not_begun(void **state)
{
	struct world *world = *state;
	struct order_text first = text(ORDER_DISCONNECT, ORDER_ROUTE, "/ws/other");
	struct order_text second = text(ORDER_SUBSCRIBE, ORDER_USER, "ana");
	struct order_text revoked = text(ORDER_DISCONNECT, ORDER_USER, "ana");
	struct order_text again = text(ORDER_DISCONNECT, ORDER_TOKEN, "t1");
	struct outcome outcomes[4];
	struct peer *ana = opened_as(world, 0, CARDS, ANA);

	second.channel = slice_of("secret");
	revoked.reason = again.reason = CLOSE_TOKEN_REVOKED;
	give(world, &first, &outcomes[0]);
	give(world, &second, &outcomes[1]);
	give(world, &revoked, &outcomes[2]);
	give(world, &again, &outcomes[3]);
	carry_out(world);
	hears(ana, "close:4001 ");
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(outcomes[i].n, i == 2); /* and among themselves in their order */
}

static void an_order_for_one_connection_ends_with_it(void **state)
{
	struct world *world = *state;
	struct peer *ana = opened_as(world, 0, CARDS, ANA), *bob = opened_as(world, 1, CARDS, BOB);
	struct peer *nobody = opened(world, 2, CARDS);

	for (struct peer *peer = bob; peer; peer = peer == bob ? ana : NULL)
		assert_int_equal(order(world, (struct order_text){.verb = ORDER_DISCONNECT,
						      .target = ORDER_CONNECTION,
						      .reason = CLOSE_DISCONNECTED,
						      .conn = peer->client.id}),
			1);
	hears(ana, "close:4010 ");
	hears(bob, "close:4010 ");
	hears(nobody, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLIENTS_TEST(closes_whom_it_names_and_nobody_else),
		CLIENTS_TEST(says_what_the_backend_says),
		CLIENTS_TEST(gives_a_channel_and_takes_it_away),
		CLIENTS_TEST(meets_nobody_twice_who_comes_back_meanwhile),
		CLIENTS_TEST(goes_on_when_the_client_that_it_came_to_leaves),
		CLIENTS_TEST(asks_for_a_fresh_token_and_closes_without_one),
		CLIENTS_TEST(closes_who_is_about_to_come_in),
		CLIENTS_TEST(revocations_go_before_orders_that_have_not_begun),
		CLIENTS_TEST(an_order_for_one_connection_ends_with_it),
		CLIENTS_TEST(gives_back_what_it_does_not_come_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
