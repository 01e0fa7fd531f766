/* Identity: what auth/identity.h promises of users, claims as parts of names, and patterns. */

#include "auth/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/identity_draft.h"

static struct identity *identity_of(
	const char *user, const char *const *claims, const char *const *patterns, int64_t deadline_ms)
{
	struct identity_draft draft = {0};
	struct identity *identity = NULL;

	assert_true(identity_draft_user(&draft, "sub", slice_of(user)));
	for (; claims && *claims; claims += 2)
		identity_draft_claim(&draft, claims[0], slice_of(claims[1]));
	for (; patterns && *patterns; patterns++)
		assert_true(identity_draft_pattern(&draft, slice_of(*patterns)));
	assert_int_equal(identity_draft_finish(&draft, deadline_ms, &identity), 0);
	identity_draft_deinit(&draft);
	return identity;
}

static void assert_part(const struct identity *identity, const char *name, const char *part)
{
	struct slice claim = identity_claim(identity, name);

	if (!part) {
		assert_null(claim.data);
		return;
	}
	assert_non_null(claim.data);
	assert_int_equal(claim.len, strlen(part));
	assert_memory_equal(claim.data, part, claim.len);
}

static void says_the_user_as_the_token_does(void **state)
{
	struct identity *identity = identity_of("auth0|5 \xc3\xa9\x01", NULL, NULL, 1234);

	(void)state;
	assert_string_equal(identity_user(identity), "auth0|5 \xc3\xa9\x01");
	assert_int_equal(identity_deadline_ms(identity), 1234);
	assert_part(identity, "sub", "auth0~7C5~20~C3~A9~01");
	identity_free(identity);
}

/* No two texts share a part, and none is a part that means something in a path. */
static void writes_each_text_in_one_form(void **state)
{
	static const char *const rows[][2] = {
		{"42", "42"},
		{"a.b_c-D9", "a.b_c-D9"},
		{".", "~2E"},
		{"..", "~2E~2E"},
		{"...", "..."},
		{"auth0|5", "auth0~7C5"},
		{"auth0~7C5", "auth0~7E7C5"},
		{"a:b", "a~3Ab"},
		{"*", "~2A"},
		{"{sub}", "~7Bsub~7D"},
		{"a/b%2F", "a~2Fb~252F"},
		{" ", "~20"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct identity *identity = identity_of(rows[i][0], NULL, NULL, INT64_MAX);

		assert_part(identity, "sub", rows[i][1]);
		identity_free(identity);
	}
}

static void knows_the_claims_that_were_asked_for(void **state)
{
	static const char *const claims[] = {"tenant", "a b", "empty", "", "n", "-7", NULL};
	struct identity *identity = identity_of("u", claims, NULL, INT64_MAX);

	(void)state;
	assert_part(identity, "tenant", "a~20b");
	assert_part(identity, "n", "-7");
	assert_part(identity, "empty", NULL);
	assert_part(identity, "other", NULL);
	assert_part(identity, "", NULL);
	identity_free(identity);
}

static void bounds_what_is_a_user_and_what_is_a_part(void **state)
{
	char user[IDENTITY_USER_MAX + 2];
	struct identity_draft draft = {0};
	struct identity *identity;

	(void)state;
	memset(user, 'u', sizeof(user));
	assert_false(identity_draft_user(&draft, "sub", (struct slice){user, IDENTITY_USER_MAX + 1}));
	assert_false(identity_draft_user(&draft, "sub", (struct slice){user, 0}));
	assert_false(identity_draft_user(&draft, "sub", (struct slice){0}));
	assert_false(identity_draft_user(&draft, "sub", (struct slice){"a\0b", 3}));
	identity_draft_deinit(&draft);

	user[IDENTITY_USER_MAX] = '\0';
	identity = identity_of(user, NULL, (const char *const[]){"user:{sub}", NULL}, INT64_MAX);
	assert_string_equal(identity_user(identity), user);
	assert_part(identity, "sub", NULL);
	assert_false(identity_lists(identity, slice_of("user:{sub}x")));
	identity_free(identity);

	user[IDENTITY_PART_MAX] = '\0';
	identity = identity_of(user, NULL, NULL, INT64_MAX);
	assert_part(identity, "sub", user);
	identity_free(identity);

	user[IDENTITY_PART_MAX - 1] = '|';
	identity = identity_of(user, NULL, NULL, INT64_MAX);
	assert_part(identity, "sub", NULL);
	identity_free(identity);
}

static void lists_channels_by_literals_stars_and_the_user(void **state)
{
	static const char *const patterns[] = {
		"cards", "execution:7", "user:{sub}", "team:*:news", "*", NULL};
	static const struct {
		const char *channel;
		bool listed;
	} rows[] = {
		{"cards", true},
		{"anything", true},
		{"execution:7", true},
		{"execution:8", false},
		{"execution:7:x", false},
		{"execution:", false},
		{"execution", true}, /* the star */
		{"user:auth0~7C5", true},
		{"user:auth0|5", false},
		{"user:{sub}", false},
		{"team:a:news", true},
		{"team::news", false},
		{"team:a:b:news", false},
		{"team:a:news:", false},
		{"", false},
		{":", false},
		{"a:", false},
	};
	struct identity *identity = identity_of("auth0|5", NULL, patterns, INT64_MAX);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (identity_lists(identity, slice_of(rows[i].channel)) != rows[i].listed)
			fail_msg("%s is %slisted", rows[i].channel, rows[i].listed ? "not " : "");
	identity_free(identity);
}

/* A user cannot smuggle a pattern into the pattern that names it. */
static void a_user_is_never_a_pattern(void **state)
{
	static const char *const patterns[] = {"user:{sub}", NULL};
	struct identity *identity = identity_of("*", NULL, patterns, INT64_MAX);

	(void)state;
	assert_false(identity_lists(identity, slice_of("user:7")));
	assert_true(identity_lists(identity, slice_of("user:~2A")));
	identity_free(identity);
}

static void refuses_what_is_no_pattern(void **state)
{
	static const char *const patterns[] = {
		"", ":", "a:", ":a", "a::b", "user:4*", "**", "user:{id}", "user:x{sub}", "{sub", "}"};
	char longest[IDENTITY_PATTERN_MAX + 1];
	struct identity_draft draft = {0};

	(void)state;
	assert_true(identity_draft_user(&draft, "sub", slice_of("u")));
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		if (identity_draft_pattern(&draft, slice_of(patterns[i])))
			fail_msg("%s was taken", patterns[i]);
	memset(longest, 'a', sizeof(longest));
	assert_false(identity_draft_pattern(&draft, (struct slice){longest, sizeof(longest)}));
	assert_true(identity_draft_pattern(&draft, (struct slice){longest, sizeof(longest) - 1}));
	for (unsigned int i = 1; i < IDENTITY_PATTERNS_MAX; i++)
		assert_true(identity_draft_pattern(&draft, slice_of("a")));
	assert_false(identity_draft_pattern(&draft, slice_of("a")));
	identity_draft_deinit(&draft);
}

static void lists_nothing_without_patterns(void **state)
{
	static const char *const claims[] = {"tenant", "cards", NULL};
	struct identity *identity = identity_of("cards", claims, NULL, INT64_MAX);

	(void)state;
	assert_false(identity_lists(identity, slice_of("cards")));
	identity_free(identity);
	identity_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_the_user_as_the_token_does),
		cmocka_unit_test(writes_each_text_in_one_form),
		cmocka_unit_test(knows_the_claims_that_were_asked_for),
		cmocka_unit_test(bounds_what_is_a_user_and_what_is_a_part),
		cmocka_unit_test(lists_channels_by_literals_stars_and_the_user),
		cmocka_unit_test(a_user_is_never_a_pattern),
		cmocka_unit_test(refuses_what_is_no_pattern),
		cmocka_unit_test(lists_nothing_without_patterns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
