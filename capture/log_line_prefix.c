/* log_line_prefix: see log_line_prefix.h. A matcher with backtracking whose steps are bounded for each line. */
#include "log_line_prefix.h"

#include "mem.h"

#include <stdint.h>

#define STEPS_MAX    4096
#define SEVERITY_MAX ((size_t)32) /* bytes of the word, other languages' too */
#define WIDTH_MAX    256

struct matcher {
	const struct log_line_prefix *prefix;
	const struct prefix_names *names;
	struct prefix_match *match;
	struct span line;
	size_t token_count; /* all, or those before %q */
	unsigned steps;
};

static const char free_text[] = "uadbih";

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* ---- the prefix ---- */

static int add_token(struct log_line_prefix *prefix, struct prefix_token token, struct error *err)
{
	if (prefix->count == PREFIX_TOKENS_MAX)
		return error_set(err, ERR_USAGE, "the log_line_prefix has more than %d parts", PREFIX_TOKENS_MAX);
	prefix->tokens[prefix->count++] = token;
	return 0;
}

/* One escape, from behind its percent sign; returns what is behind it. */
static const char *read_escape(struct log_line_prefix *prefix, const char *p, int *rc, struct error *err)
{
	bool left = *p == '-';
	const char *from = p;
	int width = 0;
	if (left)
		p++;
	for (; is_digit(*p) && width <= WIDTH_MAX; p++)
		width = width * 10 + (*p - '0');
	if (width > WIDTH_MAX) {
		*rc = error_set(err, ERR_USAGE, "the log_line_prefix pads to more than %d characters", WIDTH_MAX);
		return p;
	}
	if (*p == '\0')
		return p;
	if (*p == 'q') {
		if (prefix->quit == SIZE_MAX)
			prefix->quit = prefix->count;
	} else if (*p == '%' && p == from) {
		*rc = add_token(prefix, (struct prefix_token){.text = {p, 1}}, err);
	} else if (strchr("audrhbpPtmniecslvxQ", *p)) {
		*rc = add_token(prefix, (struct prefix_token){.escape = *p, .width = left ? -width : width}, err);
	}
	return p + 1;
}

static bool has(const struct log_line_prefix *prefix, const char *escapes)
{
	for (size_t i = 0; i < prefix->count; i++) {
		char c = prefix->tokens[i].escape;
		if (c && strchr(escapes, c))
			return true;
	}
	return false;
}

int log_line_prefix_init(struct log_line_prefix *prefix, const char *text, struct error *err)
{
	*prefix = (struct log_line_prefix){.quit = SIZE_MAX};
	if (strlen(text) >= PREFIX_TEXT_MAX)
		return error_set(err, ERR_USAGE, "the log_line_prefix is longer than %d bytes", PREFIX_TEXT_MAX - 1);
	memcpy(prefix->text, text, strlen(text) + 1);
	int rc = 0;
	for (const char *p = prefix->text; *p && rc == 0;) {
		if (*p == '%') {
			p = read_escape(prefix, p + 1, &rc, err);
			continue;
		}
		size_t len = strcspn(p, "%");
		rc = add_token(prefix, (struct prefix_token){.text = {p, len}}, err);
		p += len;
	}
	if (rc < 0)
		return rc;
	if (prefix->quit > prefix->count)
		prefix->quit = prefix->count;
	if (!has(prefix, "tmn"))
		return error_set(err, ERR_USAGE,
				 "the log_line_prefix \"%s\" has no time: one of %%m, %%n and %%t is needed", text);
	if (!has(prefix, "pc"))
		return error_set(err, ERR_USAGE, "the log_line_prefix \"%s\" names no process: %%p or %%c is needed",
				 text);
	return 0;
}

/* ---- severities ---- */

static bool read_severity(struct span text, struct prefix_match *match)
{
	static const struct {
		const char *word;
		bool secondary;
	} words[] = {{"LOG", false},	 {"ERROR", false},   {"FATAL", false},	  {"PANIC", false},
		     {"WARNING", false}, {"NOTICE", false},  {"INFO", false},	  {"DEBUG", false},
		     {"DEBUG1", false},	 {"DEBUG2", false},  {"DEBUG3", false},	  {"DEBUG4", false},
		     {"DEBUG5", false},	 {"DETAIL", true},   {"HINT", true},	  {"QUERY", true},
		     {"CONTEXT", true},	 {"LOCATION", true}, {"STATEMENT", true}, {"BACKTRACE", true}};
	size_t limit = text.len < SEVERITY_MAX ? text.len : SEVERITY_MAX;
	const char *colon = limit ? memchr(text.p, ':', limit) : NULL;
	if (!colon || colon == text.p || text.len - (size_t)(colon - text.p) < 3 || colon[1] != ' ' || colon[2] != ' ')
		return false;
	match->severity = (struct span){text.p, (size_t)(colon - text.p)};
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (span_equal_str(match->severity, words[i].word)) {
			match->known = true;
			match->secondary = words[i].secondary;
			return true;
		}
	}
	/* Another language's: capitals, or bytes above ASCII; French has a blank before the colon. */
	size_t len = match->severity.len;
	if (len > 1 && text.p[len - 1] == ' ')
		len--;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (c < 0x80 && !(c >= 'A' && c <= 'Z'))
			return false;
	}
	match->known = match->secondary = false;
	return true;
}

/* ---- fields of a fixed shape ---- */

static size_t digits_at(struct span text, size_t from)
{
	size_t i = from;
	while (i < text.len && is_digit(text.p[i]))
		i++;
	return i - from;
}

/* "2026-11-21 20:08:01.123 UTC"; the zone is letters, or a sign and digits */
static size_t stamp_length(struct span text, bool fraction)
{
	static const char shape[] = "0000-00-00 00:00:00";
	size_t at = sizeof(shape) - 1;
	if (text.len < at)
		return 0;
	for (size_t i = 0; i < at; i++) {
		if (shape[i] == '0' ? !is_digit(text.p[i]) : text.p[i] != shape[i])
			return 0;
	}
	if (fraction) {
		size_t n = at < text.len && text.p[at] == '.' ? digits_at(text, at + 1) : 0;
		if (n == 0)
			return 0;
		at += n + 1;
	}
	if (at >= text.len || text.p[at] != ' ')
		return 0;
	size_t zone = at + 1;
	size_t end = zone;
	if (end < text.len && (text.p[end] == '+' || text.p[end] == '-'))
		end += 1 + digits_at(text, end + 1);
	else
		while (end < text.len && is_letter(text.p[end]))
			end++;
	return end > zone ? end : 0;
}

static size_t hex_at(struct span text, size_t from)
{
	size_t i = from;
	while (i < text.len && (is_digit(text.p[i]) || (text.p[i] >= 'a' && text.p[i] <= 'f')))
		i++;
	return i - from;
}

static bool take_id(struct span text, size_t *len)
{
	size_t first = hex_at(text, 0);
	size_t second = first && first < text.len && text.p[first] == '.' ? hex_at(text, first + 1) : 0;
	*len = first + 1 + second;
	return second > 0;
}

/* "3/74", "-1/0", or nothing */
static size_t virtual_id_length(struct span text)
{
	size_t at = text.len && text.p[0] == '-';
	size_t n = digits_at(text, at);
	if (n == 0 || at + n >= text.len || text.p[at + n] != '/')
		return 0;
	at += n + 1;
	n = digits_at(text, at);
	return n ? at + n : 0;
}

/* "10.0.0.1(5432)", "name(5432)", "[local]", or nothing */
static bool take_remote(struct span text, size_t *len)
{
	*len = 0;
	if (span_starts_with(text, "[local]")) {
		*len = 7;
		return true;
	}
	size_t i = 0;
	while (i < text.len && i < 256 && (is_letter(text.p[i]) || is_digit(text.p[i]) || strchr(".:-_%", text.p[i])) &&
	       text.p[i])
		i++;
	if (i > 0 && i < text.len && text.p[i] == '(') {
		size_t n = digits_at(text, i + 1);
		if (n > 0 && i + 1 + n < text.len && text.p[i + 1 + n] == ')') {
			*len = i + n + 2;
			return true;
		}
	}
	return true; /* a process without a client */
}

static size_t code_length(struct span text)
{
	for (size_t i = 0; i < 5; i++) {
		if (i >= text.len || !(is_digit(text.p[i]) || (text.p[i] >= 'A' && text.p[i] <= 'Z')))
			return 0;
	}
	return 5;
}

/* Of a field with a shape: how long it is. False when it is not there. */
static bool take_shaped(char escape, struct span text, size_t *len)
{
	size_t sign = text.len && text.p[0] == '-';
	switch (escape) {
	case 't':
	case 's':
		return (*len = stamp_length(text, false)) > 0;
	case 'm':
		return (*len = stamp_length(text, true)) > 0;
	case 'n': {
		size_t whole = digits_at(text, 0);
		size_t part = whole && whole < text.len && text.p[whole] == '.' ? digits_at(text, whole + 1) : 0;
		*len = whole + 1 + part;
		return part > 0;
	}
	case 'p':
	case 'l':
	case 'x':
		return (*len = digits_at(text, 0)) > 0;
	case 'P':
		*len = digits_at(text, 0);
		return true;
	case 'Q':
		*len = digits_at(text, sign) + sign;
		return *len > sign;
	case 'c':
		return take_id(text, len);
	case 'v':
		*len = virtual_id_length(text);
		return true;
	case 'r':
		return take_remote(text, len);
	default:
		return (*len = code_length(text)) > 0; /* e */
	}
}

/* ---- matching ---- */

static bool match_from(struct matcher *m, size_t token, size_t at);

static struct span rest_of(const struct matcher *m, size_t at)
{
	return (struct span){m->line.p + at, m->line.len - at};
}

static void set_field(struct matcher *m, char escape, struct span value)
{
	if (span_equal_str(value, "[unknown]"))
		value.len = 0;
	m->match->fields[escape - 'A'] = value;
}

static bool match_shaped(struct matcher *m, size_t token, size_t at)
{
	const struct prefix_token *t = &m->prefix->tokens[token];
	size_t width = (size_t)(t->width < 0 ? -t->width : t->width);
	size_t blanks = 0;
	while (t->width > 0 && at + blanks < m->line.len && m->line.p[at + blanks] == ' ' && blanks < width)
		blanks++;
	size_t len = 0;
	struct span text = rest_of(m, at + blanks);
	if (!take_shaped(t->escape, text, &len))
		return false;
	size_t end = at + blanks + len;
	while (t->width < 0 && end - at < width && end < m->line.len && m->line.p[end] == ' ')
		end++;
	if (end - at < width)
		return false;
	set_field(m, t->escape, (struct span){text.p, len});
	return match_from(m, token + 1, end);
}

static struct span trimmed(struct span raw, const struct prefix_token *t)
{
	size_t width = (size_t)(t->width < 0 ? -t->width : t->width);
	if (raw.len != width)
		return raw; /* longer than the padding */
	while (t->width < 0 && raw.len > 0 && raw.p[raw.len - 1] == ' ')
		raw.len--;
	while (t->width > 0 && raw.len > 0 && raw.p[0] == ' ') {
		raw.p++;
		raw.len--;
	}
	return raw;
}

static bool try_free(struct matcher *m, size_t token, size_t at, size_t len)
{
	const struct prefix_token *t = &m->prefix->tokens[token];
	set_field(m, t->escape, trimmed((struct span){m->line.p + at, len}, t));
	return match_from(m, token + 1, at + len);
}

static bool match_free(struct matcher *m, size_t token, size_t at)
{
	const struct prefix_token *t = &m->prefix->tokens[token];
	size_t width = (size_t)(t->width < 0 ? -t->width : t->width);
	struct span rest = rest_of(m, at);
	if (strchr("uad", t->escape)) {
		for (size_t i = 0; i < m->names->count; i++) {
			size_t len = m->names->len[i];
			if (len < rest.len && len >= width && memcmp(rest.p, m->names->odd[i], len) == 0 &&
			    try_free(m, token, at, len))
				return true;
		}
	}
	/* As short as possible: only where the plain text that follows stands. */
	const struct prefix_token *next = token + 1 < m->token_count ? t + 1 : NULL;
	for (size_t len = width; len <= rest.len && m->steps < STEPS_MAX; len++) {
		if (next && next->escape == 0) {
			const char *found = memmem(rest.p + len, rest.len - len, next->text.p, next->text.len);
			if (!found)
				return false;
			len = (size_t)(found - rest.p);
		}
		if (try_free(m, token, at, len))
			return true;
	}
	return false;
}

static bool match_from(struct matcher *m, size_t token, size_t at)
{
	if (++m->steps > STEPS_MAX)
		return false;
	if (token == m->token_count) {
		if (!read_severity(rest_of(m, at), m->match))
			return false;
		m->match->used = at + m->match->severity.len + 3;
		return true;
	}
	const struct prefix_token *t = &m->prefix->tokens[token];
	if (t->escape == 0) {
		if (m->line.len - at < t->text.len || memcmp(m->line.p + at, t->text.p, t->text.len) != 0)
			return false;
		return match_from(m, token + 1, at + t->text.len);
	}
	return strchr(free_text, t->escape) ? match_free(m, token, at) : match_shaped(m, token, at);
}

bool log_line_prefix_match(const struct log_line_prefix *prefix, const struct prefix_names *names, struct span line,
			   struct prefix_match *match)
{
	struct matcher m = {
		.prefix = prefix, .names = names, .match = match, .line = line, .token_count = prefix->count};
	/* No prefix is longer, and a statement behind it is not searched to its end. */
	if (m.line.len > PREFIX_TEXT_MAX * 4)
		m.line.len = PREFIX_TEXT_MAX * 4;
	memset(match, 0, sizeof(*match));
	if (match_from(&m, 0, 0))
		return true;
	if (prefix->quit == prefix->count)
		return false;
	memset(match, 0, sizeof(*match));
	m.steps = 0;
	m.token_count = prefix->quit;
	return match_from(&m, 0, 0);
}

/* ---- names ---- */

void prefix_names_learn(struct prefix_names *names, struct span name)
{
	bool odd = false;
	for (size_t i = 0; i < name.len; i++)
		odd = odd || !(is_letter(name.p[i]) || is_digit(name.p[i]) || (unsigned char)name.p[i] >= 0x80 ||
			       name.p[i] == '_');
	if (!odd || names->count == PREFIX_ODD_MAX || name.len > PREFIX_TEXT_MAX)
		return;
	for (size_t i = 0; i < names->count; i++) {
		if (names->len[i] == name.len && memcmp(names->odd[i], name.p, name.len) == 0)
			return;
	}
	names->len[names->count] = name.len;
	names->odd[names->count++] = mem_strndup(name.p, name.len);
}

void prefix_names_release(struct prefix_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->odd[i]);
	names->count = 0;
}
