/* The name for a log that begins; see the header. */

#include "broker/epoch_draw.h"

#include <sys/random.h>

void epoch_draw(struct epoch *epoch)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	unsigned char random[EPOCH_LETTERS];

	/* A request for so few bytes is answered completely, or waits while the machine is booting. */
	while (getrandom(random, sizeof(random), 0) != sizeof(random))
		continue;
	*epoch = (struct epoch){0};
	for (int i = 0; i < EPOCH_LETTERS; i++)
		epoch->text[i] = letters[random[i] % (sizeof(letters) - 1)];
}
