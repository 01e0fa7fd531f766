/*
 * Clock: the only place that asks the kernel for the time.
 *
 * Formatting is done by hand: it may run once per event, gmtime_r() takes a lock of the C library for the
 * time zone, and a timestamp in UTC needs neither.
 */

#include "core/clock.h"

#include <time.h>

/* 9999-12-31T23:59:59.999Z: the last instant whose year has four digits. Later instants are
 * printed as this one. */
#define CLOCK_LAST_MS UINT64_C(253402300799999)

static uint64_t clock_read(clockid_t id, uint64_t per_second)
{
	struct timespec now;

	clock_gettime(id, &now); /* cannot fail for these clocks */
	return (uint64_t)now.tv_sec * per_second + (uint64_t)now.tv_nsec / (1000000000 / per_second);
}

uint64_t clock_monotonic_ms(void)
{
	return clock_read(CLOCK_MONOTONIC, 1000);
}

uint64_t clock_monotonic_us(void)
{
	return clock_read(CLOCK_MONOTONIC, 1000000);
}

uint64_t clock_wall_ms(void)
{
	return clock_read(CLOCK_REALTIME, 1000);
}

static void put_digits(char *out, uint32_t value, unsigned int n)
{
	while (n > 0) {
		out[--n] = (char)('0' + value % 10);
		value /= 10;
	}
}

/*
 * Days since 1970 as a date, by counting from 0000-03-01: then the leap day is the last of its year, and
 * months have a regular length ("days to civil", Howard Hinnant, public domain).
 */
static void put_date(char out[10], uint32_t days)
{
	uint32_t since = days + 719468; /* 0000-03-01 to 1970-01-01 */
	uint32_t era = since / 146097;  /* 400 years */
	uint32_t day_of_era = since % 146097;
	uint32_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	uint32_t march_month = (5 * day_of_year + 2) / 153;
	uint32_t month = march_month < 10 ? march_month + 3 : march_month - 9;

	put_digits(out, era * 400 + year_of_era + (month <= 2), 4);
	put_digits(out + 5, month, 2);
	put_digits(out + 8, day_of_year - (153 * march_month + 2) / 5 + 1, 2);
	out[4] = out[7] = '-';
}

void clock_format(uint64_t wall_ms, char out[CLOCK_TIMESTAMP_LEN])
{
	uint64_t at = wall_ms < CLOCK_LAST_MS ? wall_ms : CLOCK_LAST_MS;
	uint32_t of_day = (uint32_t)(at % 86400000);

	put_date(out, (uint32_t)(at / 86400000));
	out[10] = 'T';
	put_digits(out + 11, of_day / 3600000, 2);
	out[13] = ':';
	put_digits(out + 14, of_day / 60000 % 60, 2);
	out[16] = ':';
	put_digits(out + 17, of_day / 1000 % 60, 2);
	out[19] = '.';
	put_digits(out + 20, of_day % 1000, 3);
	out[23] = 'Z';
}

const char *clock_text_at(struct clock_text *last, uint64_t wall_ms)
{
	if (last->wall_ms != wall_ms || !last->text[0]) {
		clock_format(wall_ms, last->text);
		last->wall_ms = wall_ms;
	}
	return last->text;
}
