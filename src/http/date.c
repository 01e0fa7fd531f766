/* Date: the time as HTTP writes it; see the header. */

#include "http/date.h"

#include <stdio.h>
#include <time.h>

void http_date(int64_t wall_ms, char out[HTTP_DATE_SIZE])
{
	/* strftime() would write them in the language of the process' locale. */
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm = {0};

	(void)gmtime_r(&seconds, &tm);
	snprintf(out, HTTP_DATE_SIZE, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT", days + 3 * tm.tm_wday,
		(unsigned int)tm.tm_mday % 100, months + 3 * tm.tm_mon,
		(unsigned int)(tm.tm_year + 1900) % 10000, (unsigned int)tm.tm_hour % 100,
		(unsigned int)tm.tm_min % 100, (unsigned int)tm.tm_sec % 100);
}
