/* Arrival: when bytes had come to a socket. See arrival.h. */

#include "bench/arrival.h"

#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "core/clock.h"

void arrival_watch(int fd)
{
	int on = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
}

/* The kernel notes it by the clock on the wall. */
static uint64_t monotonic_us(const struct timespec *noted)
{
	struct timespec wall;
	int64_t ago_us;
	uint64_t now_us = clock_monotonic_us();

	clock_gettime(CLOCK_REALTIME, &wall);
	ago_us = (int64_t)(wall.tv_sec - noted->tv_sec) * 1000000 + (wall.tv_nsec - noted->tv_nsec) / 1000;
	return ago_us > 0 && (uint64_t)ago_us < now_us ? now_us - (uint64_t)ago_us : now_us;
}

ssize_t arrival_receive(int fd, void *data, size_t size, uint64_t *at_us)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct timespec))];
	struct iovec bytes = {data, size};
	struct msghdr message = {.msg_iov = &bytes,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT);
	struct cmsghdr *note = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	struct timespec noted;

	*at_us = 0;
	if (note && note->cmsg_level == SOL_SOCKET && note->cmsg_type == SCM_TIMESTAMPNS) {
		memcpy(&noted, CMSG_DATA(note), sizeof(noted));
		*at_us = monotonic_us(&noted);
	}
	return n;
}
