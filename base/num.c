/* Numbers from text: see num.h. */
#include "num.h"

#include "clock.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <strings.h>

int num_parse_int(const char *text, int64_t min, int64_t max, int64_t *out, struct error *err)
{
	char *end;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (end == text || *end || isspace((unsigned char)*text) || errno == ERANGE || value < min || value > max)
		return error_set(err, ERR_USAGE, "'%s' is not a whole number from %lld to %lld", text, (long long)min,
				 (long long)max);
	*out = value;
	return 0;
}

int num_parse_double(const char *text, double min, double max, double *out, struct error *err)
{
	char *end;
	errno = 0;
	double value = strtod(text, &end);
	if (end == text || *end || isspace((unsigned char)*text) || !isfinite(value) || value < min || value > max)
		return error_set(err, ERR_USAGE, "'%s' is not a number from %g to %g", text, min, max);
	*out = value;
	return 0;
}

struct unit {
	const char *name;
	double factor;
};

/* The factor of the unit that text begins with, and its length; 0 when there is none. The longest name wins. */
static double find_unit(const struct unit *units, const char *text, size_t *len)
{
	double factor = 0;
	*len = 0;
	for (const struct unit *u = units; u->name; u++) {
		size_t n = strlen(u->name);
		if (n > *len && strncasecmp(text, u->name, n) == 0) {
			factor = u->factor;
			*len = n;
		}
	}
	return factor;
}

/* A sum of number-and-unit pairs; a last number without a unit is in bare_factor. */
static bool parse_with_units(const char *text, const struct unit *units, double bare_factor, bool sum, double *out)
{
	double total = 0;
	const char *p = text;
	if (!*p)
		return false;
	while (*p) {
		char *end;
		if (!isdigit((unsigned char)*p) && *p != '.')
			return false;
		errno = 0;
		double value = strtod(p, &end);
		if (end == p || !isfinite(value) || (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')))
			return false;
		p = end;
		size_t len;
		double factor = find_unit(units, p, &len);
		if (len == 0) {
			if (*p || p == text)
				return false;
			factor = bare_factor;
		}
		p += len;
		total += value * factor;
		if (!sum && *p)
			return false;
	}
	*out = total;
	return total < 9e18;
}

int num_parse_duration(const char *text, int64_t *out_ns, struct error *err)
{
	static const struct unit units[] = {{"ns", 1},	   {"us", 1e3},	  {"ms", 1e6},	  {"s", 1e9}, {"m", 6e10},
					    {"min", 6e10}, {"h", 3.6e12}, {"d", 8.64e13}, {NULL, 0}};
	double ns;
	if (!parse_with_units(text, units, 1e9, true, &ns))
		return error_set(err, ERR_USAGE, "'%s' is not a duration such as 250ms, 10s or 1h30m", text);
	*out_ns = (int64_t)llround(ns);
	return 0;
}

int num_parse_size(const char *text, int64_t *out_bytes, struct error *err)
{
	static const struct unit units[] = {{"B", 1},
					    {"kB", 1024.0},
					    {"MB", 1024.0 * 1024},
					    {"GB", 1024.0 * 1024 * 1024},
					    {"TB", 1024.0 * 1024 * 1024 * 1024},
					    {NULL, 0}};
	double bytes;
	if (!parse_with_units(text, units, 1, false, &bytes))
		return error_set(err, ERR_USAGE, "'%s' is not a size such as 65536, 128MB or 2GB", text);
	*out_bytes = (int64_t)llround(bytes);
	return 0;
}

bool num_scan_digits(const char *text, size_t len, uint64_t *out, size_t *used)
{
	uint64_t value = 0;
	size_t i = 0;
	for (; i < len && text[i] >= '0' && text[i] <= '9'; i++) {
		if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
			return false;
	}
	*used = i;
	*out = value;
	return i > 0;
}
