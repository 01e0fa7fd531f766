#ifndef TIDEGATE_SRC_APP_WARNINGS_H
#define TIDEGATE_SRC_APP_WARNINGS_H

/* Warnings: the start says what the configuration leaves open. */

struct config;
struct log;

void warnings_log(struct log *log, const struct config *config);

#endif
