/* Which engine driver serves a URL: see driver.h. */
#include "driver.h"

#include <string.h>

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

int driver_for_url(const char *url, const struct driver **out, struct error *err)
{
	if (starts_with(url, "postgresql://") || starts_with(url, "postgres://"))
		*out = &driver_pg;
	else if (starts_with(url, "null:"))
		*out = &driver_null;
	else if (!strstr(url, "://") && strchr(url, '='))
		*out = &driver_pg;
	else
		return error_set(err, ERR_USAGE, "the target is not a URL such as postgresql://HOST:PORT/DATABASE");
	return 0;
}
