/* Warnings: what the configuration leaves open; see the header. */

#include "app/warnings.h"

#include "config/config.h"
#include "core/log.h"

void warnings_log(struct log *log, const struct config *config)
{
	struct config_warning warnings[CONFIG_WARNINGS_MAX];
	size_t n = config_warnings(config, warnings);

	for (size_t i = 0; i < n; i++)
		log_warn(log, warnings[i].message, log_str("what", warnings[i].what),
			log_str("remedy", warnings[i].remedy));
}
