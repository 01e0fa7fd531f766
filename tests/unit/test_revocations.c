/* Revocations: what auth/revocations.h promises: bounded, widened and never narrowed, forgotten when over. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "auth/claims.h"
#include "auth/identity.h"
#include "auth/revocations.h"
#include "core/buf.h"

enum {
	NOW = 1000000,
};

static struct revocation user(const char *name, int64_t issued_before_ms, int64_t until_ms)
{
	return (struct revocation){false, slice_of(name), issued_before_ms, until_ms};
}

static struct revocation token(const char *name, int64_t until_ms)
{
	return (struct revocation){true, slice_of(name), 0, until_ms};
}

static int note(struct revocation_book *book, struct revocation revocation)
{
	struct revocation widened;

	return revocation_book_note(book, &revocation, &widened);
}

static struct identity *identity(const char *claims)
{
	const struct claims_rules rules = {.identity = {"sub", "channels", NULL}, .exp_optional = true};
	struct identity *made = NULL;
	char json[200];
	size_t len = strlen(claims);

	for (size_t i = 0; i <= len; i++)
		json[i] = claims[i] == '\'' ? '"' : claims[i];
	assert_int_equal(claims_read((struct slice){json, len}, &rules, NOW, &made), 0);
	return made;
}

static bool have(struct revocation_book *book, const char *claims, int64_t now_ms)
{
	struct revocations *copy = revocation_book_share(book);
	struct identity *asked = identity(claims);
	bool r = revocations_have(copy, asked, now_ms);

	assert_non_null(copy);
	identity_free(asked);
	revocations_unref(copy);
	return r;
}

static void revokes_what_a_user_got_before(void **state)
{
	struct revocation_book book = {0};

	(void)state;
	assert_int_equal(note(&book, user("ana", 5000, NOW + 10)), 0);
	assert_true(have(&book, "{'sub':'ana','iat':4.999}", NOW));
	assert_false(have(&book, "{'sub':'ana','iat':5}", NOW));
	assert_true(have(&book, "{'sub':'ana'}", NOW));           /* it may have been before */
	assert_true(have(&book, "{'sub':'ana','iat':'9'}", NOW)); /* the same */
	assert_false(have(&book, "{'sub':'bob','iat':1}", NOW));
	assert_false(have(&book, "{'sub':'bob','jti':'ana'}", NOW)); /* names of tokens are others */
	assert_false(have(&book, "{'sub':'ana','iat':1}", NOW + 10));
	revocation_book_deinit(&book);
}

static void revokes_one_token_by_its_name(void **state)
{
	struct revocation_book book = {0};

	(void)state;
	assert_int_equal(note(&book, token("t1", NOW + 10)), 0);
	assert_true(have(&book, "{'sub':'ana','jti':'t1','iat':9}", NOW));
	assert_false(have(&book, "{'sub':'ana','jti':'t2'}", NOW));
	assert_false(have(&book, "{'sub':'t1'}", NOW));
	assert_false(have(&book, "{'sub':'ana'}", NOW));
	assert_false(have(&book, "{'sub':'ana','jti':'t1'}", NOW + 10));
	revocation_book_deinit(&book);
}

static void widens_and_never_narrows(void **state)
{
	struct revocation_book book = {0};
	struct revocation found, widened, narrow = user("ana", 3000, NOW + 90);

	(void)state;
	assert_int_equal(note(&book, user("ana", 5000, NOW + 10)), 0);
	assert_int_equal(note(&book, user("ana", 4000, NOW + 5)), REVOCATION_KNOWN);
	assert_int_equal(revocation_book_note(&book, &narrow, &widened), 0);
	assert_int_equal(widened.issued_before_ms, 5000);
	assert_int_equal(widened.until_ms, NOW + 90);
	assert_true(revocation_book_find(&book, &narrow, &found));
	assert_int_equal(found.issued_before_ms, 5000);
	assert_int_equal(revocation_book_count(&book), 1);
	revocation_book_forget(&book, &narrow);
	assert_false(revocation_book_find(&book, &narrow, &found));
	revocation_book_forget(&book, &narrow);
	revocation_book_deinit(&book);
}

static void forgets_what_is_over(void **state)
{
	struct revocation_book book = {0};

	(void)state;
	note(&book, user("ana", 1, NOW));
	note(&book, user("bob", 1, NOW + 1));
	note(&book, token("t", NOW - 1));
	assert_int_equal(revocation_book_expire(&book, NOW), 2);
	assert_int_equal(revocation_book_count(&book), 1);
	assert_int_equal(revocation_book_expire(&book, NOW), 0);
	revocation_book_deinit(&book);
}

static void refuses_more_than_it_may_hold(void **state)
{
	struct revocation_book book = {0};
	char name[16];

	(void)state;
	for (int i = 0; i < REVOCATIONS_MAX; i++) {
		snprintf(name, sizeof(name), "%d", i);
		assert_int_equal(note(&book, token(name, NOW + 1)), 0);
	}
	assert_int_equal(note(&book, token("one more", NOW + 1)), REVOCATION_FULL);
	assert_int_equal(note(&book, token("7", NOW + 2)), 0); /* that one is there */
	assert_true(have(&book, "{'sub':'ana','jti':'99999'}", NOW));
	assert_int_equal(revocation_book_expire(&book, NOW + 1), REVOCATIONS_MAX - 1);
	assert_int_equal(note(&book, token("one more", NOW + 2)), 0);
	revocation_book_deinit(&book);
}

static void says_what_was_not_noted_again(void **state)
{
	struct revocation_book book = {0};
	struct revocation missed;
	const struct map_entry *entry;

	(void)state;
	note(&book, user("ana", 1, NOW));
	note(&book, token("t", NOW));
	revocation_book_again(&book);
	note(&book, token("t", NOW));
	entry = revocation_book_missed(&book, NULL, &missed);
	assert_non_null(entry);
	assert_false(missed.is_token);
	assert_true(slice_is(missed.name, "ana"));
	assert_null(revocation_book_missed(&book, entry, &missed));
	revocation_book_deinit(&book);
}

static void has_a_text_that_is_read_again(void **state)
{
	static const char *const bad[] = {"", "u", "u ", "u 1", "u 1 ", "u x y", "u  y", "t", "t ", "x 1 y",
		"u 11111111111111111 y", "u -1 y"};
	const struct revocation all[] = {
		user("a b", 1767225600250, 0), user("\xc3\xa9", 0, 0), token("t 1", 0)};
	struct revocation read;
	struct buf text = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		buf_reset(&text);
		revocation_write(&all[i], &text);
		assert_true(revocation_read(buf_slice(&text), &read));
		assert_int_equal(read.is_token, all[i].is_token);
		assert_true(slice_equal(read.name, all[i].name));
		assert_true(read.issued_before_ms == all[i].issued_before_ms);
	}
	buf_deinit(&text);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (revocation_read(slice_of(bad[i]), &read))
			fail_msg("'%s' is read", bad[i]);
}

static void nothing_is_revoked_where_nobody_said_so(void **state)
{
	struct identity *ana = identity("{'sub':'ana'}");

	(void)state;
	assert_false(revocations_have(NULL, ana, NOW));
	identity_free(ana);
	revocations_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(revokes_what_a_user_got_before),
		cmocka_unit_test(revokes_one_token_by_its_name),
		cmocka_unit_test(widens_and_never_narrows),
		cmocka_unit_test(forgets_what_is_over),
		cmocka_unit_test(refuses_more_than_it_may_hold),
		cmocka_unit_test(says_what_was_not_noted_again),
		cmocka_unit_test(has_a_text_that_is_read_again),
		cmocka_unit_test(nothing_is_revoked_where_nobody_said_so),
	};

	map_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
