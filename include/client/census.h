#ifndef TIDEGATE_CLIENT_CENSUS_H
#define TIDEGATE_CLIENT_CENSUS_H

/* Census: takes down what one worker knows of its clients and channels; see mail/census.h. */

struct census;
struct census_question;
struct clients;

/* On the thread of the clients. */
void census_take(struct clients *clients, const struct census_question *question, struct census *census);

#endif
