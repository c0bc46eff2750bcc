/* Classes of what became of a value: see value_class.h. */
#include "value_class.h"

#include "clock.h"
#include "mem.h"

#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <strings.h>

#define DIGITS_MAX 400 /* of a number that is compared digit by digit; longer ones by text */

static const char *const class_names[VALUE_CLASS_COUNT] = {
	"same",		 "nulled",	 "emptied",	   "rounded",	   "truncated",		  "trailing_spaces",
	"leading_zeros", "case_changed", "non_ascii_lost", "not_a_number", "time_of_day_dropped", "time_zone_shift",
	"filled",	 "changed"};

const char *value_class_name(enum value_class value_class)
{
	return class_names[value_class];
}

bool value_class_is_loss(enum value_class value_class)
{
	return value_class > VALUE_CLASS_SAME && value_class < VALUE_CLASS_ZONE_SHIFT;
}

enum value_family value_family_of(const char *type_name)
{
	static const struct {
		const char *name;
		enum value_family family;
	} types[] = {
		{"int2", VALUE_NUMBER},	   {"int4", VALUE_NUMBER},	{"int8", VALUE_NUMBER},
		{"numeric", VALUE_NUMBER}, {"float4", VALUE_NUMBER},	{"float8", VALUE_NUMBER},
		{"oid", VALUE_NUMBER},	   {"text", VALUE_TEXT},	{"varchar", VALUE_TEXT},
		{"bpchar", VALUE_TEXT},	   {"char", VALUE_TEXT},	{"name", VALUE_TEXT},
		{"citext", VALUE_TEXT},	   {"bool", VALUE_BOOL},	{"date", VALUE_TIME},
		{"timestamp", VALUE_TIME}, {"timestamptz", VALUE_TIME}, {"json", VALUE_JSON},
		{"jsonb", VALUE_JSON},	   {"uuid", VALUE_UUID},
	};
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if (strcmp(types[i].name, type_name) == 0)
			return types[i].family;
	}
	return VALUE_OTHER;
}

/* A decimal number taken apart: 0.DIGITS × 10^point, without zeros at either end. */
struct decimal {
	bool negative;
	bool leading_zeros; /* as it was written: 007 */
	int64_t point;
	size_t count;
	char digits[DIGITS_MAX];
};

static struct span trim(struct span text)
{
	while (text.len && isspace((unsigned char)*text.p))
		text.p++, text.len--;
	while (text.len && isspace((unsigned char)text.p[text.len - 1]))
		text.len--;
	return text;
}

/* "e-07" and the like, or nothing, up to the end. */
static bool parse_exponent(const char *p, const char *end, int64_t *exponent)
{
	bool negative = false;
	*exponent = 0;
	if (p == end)
		return true;
	if (*p != 'e' && *p != 'E')
		return false;
	p++;
	if (p < end && (*p == '-' || *p == '+'))
		negative = *p++ == '-';
	if (p == end || end - p > 6)
		return false;
	for (; p < end; p++) {
		if (!isdigit((unsigned char)*p))
			return false;
		*exponent = *exponent * 10 + (*p - '0');
	}
	if (negative)
		*exponent = -*exponent;
	return true;
}

/* False for what is no finite decimal number, or has too many digits. */
static bool decimal_parse(struct span text, struct decimal *out)
{
	text = trim(text);
	const char *p = text.p, *end = text.p + text.len;
	*out = (struct decimal){0};
	if (p < end && (*p == '-' || *p == '+'))
		out->negative = *p++ == '-';
	out->leading_zeros = end - p > 1 && *p == '0' && isdigit((unsigned char)p[1]);
	bool any = false, dot = false;
	for (; p < end && (isdigit((unsigned char)*p) || (*p == '.' && !dot)); p++) {
		if (*p == '.') {
			dot = true;
			continue;
		}
		any = true;
		if (*p == '0' && out->count == 0) {
			out->point -= dot;
			continue;
		}
		if (out->count == DIGITS_MAX)
			return false;
		out->digits[out->count++] = *p;
		out->point += !dot;
	}
	int64_t exponent;
	if (!any || !parse_exponent(p, end, &exponent))
		return false;
	while (out->count && out->digits[out->count - 1] == '0')
		out->count--;
	out->point = out->count ? out->point + exponent : 0;
	out->negative = out->negative && out->count;
	return true;
}

static bool decimal_equal(const struct decimal *a, const struct decimal *b)
{
	return a->negative == b->negative && a->point == b->point && a->count == b->count &&
	       memcmp(a->digits, b->digits, a->count) == 0;
}

/* As near as the digits that the new one has: fewer than before, and off by less than one of its last one. */
static bool is_rounded(const struct decimal *before, const struct decimal *after, double x, double y)
{
	int64_t old_scale = (int64_t)before->count - before->point;
	int64_t new_scale = (int64_t)after->count - after->point;
	if (after->count == 0)
		new_scale = 0;
	if (old_scale <= new_scale)
		return fabs(x - y) <= fabs(x) * 1e-6; /* a float's: 24 bits are seven digits */
	double unit = pow(10, -(double)(new_scale > 0 ? new_scale : 0));
	return fabs(x - y) <= unit * (1 + 1e-9) || fabs(x - y) <= fabs(x) * 1e-6;
}

static double to_double(struct span text)
{
	char copy[DIGITS_MAX + 16];
	text = trim(text);
	if (text.len >= sizeof(copy))
		return NAN;
	memcpy(copy, text.p, text.len);
	copy[text.len] = '\0';
	return strtod(copy, NULL);
}

static enum value_class classify_numbers(struct span before, struct span after, bool zeros_count)
{
	struct decimal a, b;
	bool a_is = decimal_parse(before, &a), b_is = decimal_parse(after, &b);
	if (a_is != b_is)
		return VALUE_CLASS_NOT_A_NUMBER;
	if (!a_is)
		return span_equal(trim(before), trim(after)) ? VALUE_CLASS_SAME : VALUE_CLASS_CHANGED;
	if (decimal_equal(&a, &b))
		return zeros_count && a.leading_zeros && !b.leading_zeros ? VALUE_CLASS_LEADING_ZEROS
									  : VALUE_CLASS_SAME;
	return is_rounded(&a, &b, to_double(before), to_double(after)) ? VALUE_CLASS_ROUNDED : VALUE_CLASS_CHANGED;
}

static bool has_non_ascii(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)text.p[i] >= 0x80)
			return true;
	}
	return false;
}

static enum value_class classify_texts(struct span before, struct span after)
{
	if (span_equal(before, after))
		return VALUE_CLASS_SAME;
	if (after.len == 0)
		return trim(before).len ? VALUE_CLASS_EMPTIED : VALUE_CLASS_TRAILING_SPACES;
	if (after.len < before.len && memcmp(before.p, after.p, after.len) == 0) {
		for (size_t i = after.len; i < before.len; i++) {
			if (before.p[i] != ' ')
				return VALUE_CLASS_TRUNCATED;
		}
		return VALUE_CLASS_TRAILING_SPACES;
	}
	if (after.len == before.len && strncasecmp(before.p, after.p, after.len) == 0)
		return VALUE_CLASS_CASE;
	if (has_non_ascii(before) && !has_non_ascii(after))
		return VALUE_CLASS_NON_ASCII;
	return VALUE_CLASS_CHANGED;
}

struct moment {
	int64_t us; /* since 1970-01-01 00:00, as written, less its zone */
	bool has_time;
	int digits; /* of a second that are not 0 at the end */
};

/* Days since 1970-01-01 in the proleptic Gregorian calendar, after Howard Hinnant's days_from_civil. */
static int64_t days_from_civil(int64_t y, int64_t m, int64_t d)
{
	y -= m <= 2;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static bool take_number(struct span *text, int64_t *out, size_t min, size_t max)
{
	size_t n = 0;
	*out = 0;
	for (; n < max && n < text->len && isdigit((unsigned char)text->p[n]); n++)
		*out = *out * 10 + (text->p[n] - '0');
	text->p += n;
	text->len -= n;
	return n >= min;
}

static bool take_char(struct span *text, char c)
{
	if (!text->len || *text->p != c)
		return false;
	text->p++;
	text->len--;
	return true;
}

static bool parse_zone(struct span *text, int64_t *offset_s)
{
	int64_t h, m = 0, s = 0;
	*offset_s = 0;
	if (!text->len)
		return true;
	bool negative = *text->p == '-';
	if (!negative && *text->p != '+')
		return false;
	text->p++;
	text->len--;
	if (!take_number(text, &h, 2, 2) || (take_char(text, ':') && !take_number(text, &m, 2, 2)) ||
	    (take_char(text, ':') && !take_number(text, &s, 2, 2)))
		return false;
	*offset_s = (h * 3600 + m * 60 + s) * (negative ? -1 : 1);
	return true;
}

/* "2026-11-21", "2026-11-21 20:08:01.123456+02:30"; false for infinity and dates BC: those are compared by text. */
static bool moment_parse(struct span text, struct moment *out)
{
	int64_t y, mo, d, h = 0, mi = 0, s = 0, fraction = 0, zone = 0;
	text = trim(text);
	*out = (struct moment){0};
	if (!take_number(&text, &y, 4, 7) || !take_char(&text, '-') || !take_number(&text, &mo, 2, 2) ||
	    !take_char(&text, '-') || !take_number(&text, &d, 2, 2))
		return false;
	if (take_char(&text, ' ') || take_char(&text, 'T')) {
		out->has_time = true;
		if (!take_number(&text, &h, 2, 2) || !take_char(&text, ':') || !take_number(&text, &mi, 2, 2) ||
		    (take_char(&text, ':') && !take_number(&text, &s, 2, 2)))
			return false;
		if (take_char(&text, '.')) {
			size_t before = text.len;
			if (!take_number(&text, &fraction, 1, 6))
				return false;
			for (size_t digits = before - text.len; digits < 6; digits++)
				fraction *= 10;
		}
		if (!parse_zone(&text, &zone))
			return false;
	}
	if (text.len || mo < 1 || mo > 12)
		return false;
	out->digits = fraction ? 6 : 0;
	for (int64_t rest = fraction; rest && rest % 10 == 0; rest /= 10)
		out->digits--;
	out->us = (((days_from_civil(y, mo, d) * 24 + h) * 60 + mi) * 60 + s - zone) * 1000000 + fraction;
	return true;
}

#define DAY_US	   (INT64_C(86400) * 1000000)
#define QUARTER_US (INT64_C(900) * 1000000)

static enum value_class classify_times(struct span before, struct span after)
{
	struct moment a, b;
	if (!moment_parse(before, &a) || !moment_parse(after, &b))
		return span_equal(trim(before), trim(after)) ? VALUE_CLASS_SAME : VALUE_CLASS_CHANGED;
	int64_t off = b.us - a.us;
	if (off == 0)
		return VALUE_CLASS_SAME;
	/* Its own day, or, in another zone, one beside it. */
	if (a.has_time && !b.has_time && off > -2 * DAY_US && off < DAY_US)
		return VALUE_CLASS_TIME_DROPPED;
	if (off % QUARTER_US == 0 && off >= -26 * 4 * QUARTER_US && off <= 26 * 4 * QUARTER_US)
		return VALUE_CLASS_ZONE_SHIFT;
	int64_t unit = 1000000; /* of the last digit that the new one has */
	for (int i = 0; i < b.digits; i++)
		unit /= 10;
	return off > -unit && off < unit && b.digits < a.digits ? VALUE_CLASS_ROUNDED : VALUE_CLASS_CHANGED;
}

/* Spelling and the order of keys are not part of a JSON value; a key that is there twice is, until jsonb drops one. */
static enum value_class classify_json(struct span before, struct span after)
{
	size_t strict = JSON_DECODE_ANY | JSON_REJECT_DUPLICATES;
	json_t *a = json_loadb(before.p, before.len, strict, NULL);
	json_t *b = json_loadb(after.p, after.len, strict, NULL);
	bool equal = a && b && json_equal(a, b);
	json_decref(a);
	json_decref(b);
	return equal || span_equal(before, after) ? VALUE_CLASS_SAME : VALUE_CLASS_CHANGED;
}

static bool read_truth(struct span text, bool *out)
{
	static const char *const words[] = {"f", "t", "false", "true", "0", "1", "n", "y", "no", "yes", "off", "on"};
	text = trim(text);
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (text.len == strlen(words[i]) && strncasecmp(text.p, words[i], text.len) == 0) {
			*out = i % 2;
			return true;
		}
	}
	return false;
}

static enum value_class classify_truth(struct span before, struct span after)
{
	bool a, b;
	if (!read_truth(before, &a) || !read_truth(after, &b))
		return VALUE_CLASS_CHANGED;
	return a == b ? VALUE_CLASS_SAME : VALUE_CLASS_CHANGED;
}

/* {A0EEBC99-…} and a0eebc99… are one UUID. */
static bool same_uuid(struct span a, struct span b)
{
	size_t i = 0, k = 0;
	for (;;) {
		while (i < a.len && !isxdigit((unsigned char)a.p[i]))
			i++;
		while (k < b.len && !isxdigit((unsigned char)b.p[k]))
			k++;
		if (i == a.len || k == b.len)
			return i == a.len && k == b.len;
		if (tolower((unsigned char)a.p[i++]) != tolower((unsigned char)b.p[k++]))
			return false;
	}
}

enum value_class value_classify(enum value_family old_family, enum value_family new_family, bool same_type,
				struct span before, struct span after)
{
	if (!before.p || !after.p)
		return !before.p && !after.p ? VALUE_CLASS_SAME : before.p ? VALUE_CLASS_NULLED : VALUE_CLASS_FILLED;
	if (span_equal(before, after))
		return VALUE_CLASS_SAME;
	bool numbers = old_family == VALUE_NUMBER || new_family == VALUE_NUMBER;
	bool truth = old_family == VALUE_BOOL || new_family == VALUE_BOOL;
	enum value_class found = VALUE_CLASS_CHANGED;
	if (truth && old_family != new_family)
		found = classify_truth(before, after);
	else if (numbers && (old_family == new_family || old_family == VALUE_TEXT || new_family == VALUE_TEXT))
		found = classify_numbers(before, after, old_family == VALUE_TEXT);
	else if (old_family == VALUE_TIME || new_family == VALUE_TIME)
		found = classify_times(before, after);
	else if (old_family == VALUE_JSON || new_family == VALUE_JSON)
		found = classify_json(before, after);
	else if (old_family == VALUE_UUID || new_family == VALUE_UUID)
		found = same_uuid(before, after) ? VALUE_CLASS_SAME : VALUE_CLASS_CHANGED;
	else if (old_family == VALUE_TEXT && new_family == VALUE_TEXT)
		found = classify_texts(before, after);
	else if (old_family == VALUE_TEXT || new_family == VALUE_TEXT)
		found = classify_texts(before, after);
	/* Of one type, texts that differ are values that differ: 1.5 and 1.50 of a numeric without a scale. */
	return same_type && found == VALUE_CLASS_SAME ? VALUE_CLASS_CHANGED : found;
}
