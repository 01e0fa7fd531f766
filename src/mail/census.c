/* Census: what a worker answered; see the header. */

#include "mail/census.h"

#include <stdlib.h>

void census_deinit(struct census *census)
{
	free(census->channels);
	free(census->connections);
	free(census->disconnects);
	buf_deinit(&census->text);
	*census = (struct census){0};
}
