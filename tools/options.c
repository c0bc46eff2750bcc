/* Options from the command line, the environment and rehearse.ini: see options.h. */
#include "options.h"

#include "mem.h"
#include "num.h"
#include "word_suggest.h"

#include <ctype.h>
#include <strings.h>

/* Where a value came from, for messages. */
struct source {
	const char *prefix; /* "--", "", or "rehearse.ini:12: " */
	const char *name;
};

static const struct option *find_by(const struct option *const *tables, const char *long_name, size_t len,
				    char short_name)
{
	for (; *tables; tables++) {
		for (const struct option *o = *tables; o->kind != OPTION_END; o++) {
			if (long_name && strlen(o->long_name) == len && strncmp(o->long_name, long_name, len) == 0)
				return o;
			if (short_name && o->short_name == short_name)
				return o;
		}
	}
	return NULL;
}

const struct option *options_find(const struct option *const *tables, const char *long_name)
{
	return find_by(tables, long_name, strlen(long_name), 0);
}

static void list_add(struct option_list *list, const char *item)
{
	MEM_GROW(list->items, list->count, list->capacity);
	list->items[list->count++] = item;
}

static int parse_flag(const char *text, bool *out, struct error *err)
{
	static const char *const yes[] = {"yes", "true", "on", "1", NULL};
	static const char *const no[] = {"no", "false", "off", "0", NULL};
	for (size_t i = 0; yes[i]; i++) {
		if (strcasecmp(text, yes[i]) == 0) {
			*out = true;
			return 0;
		}
		if (strcasecmp(text, no[i]) == 0) {
			*out = false;
			return 0;
		}
	}
	return error_set(err, ERR_USAGE, "'%s' is neither yes nor no", text);
}

static int parse_choice(const struct option *o, const char *text, struct error *err)
{
	for (int i = 0; o->choices[i]; i++) {
		if (strcmp(o->choices[i], text) == 0) {
			*o->value.choice = i;
			return 0;
		}
	}
	struct strbuf known;
	strbuf_init(&known, 400);
	for (size_t i = 0; o->choices[i]; i++)
		strbuf_addf(&known, "%s%s", i ? ", " : "", o->choices[i]);
	(void)error_set(err, ERR_USAGE, "'%s' is none of %s", text, known.data);
	strbuf_release(&known);
	return -err->code;
}

static int parse_value(const struct option *o, const char *text, struct error *err)
{
	bool bounded = o->min != 0 || o->max != 0;
	bool real_bounded = o->real_min < 0 || o->real_min > 0 || o->real_max < 0 || o->real_max > 0;
	switch (o->kind) {
	case OPTION_FLAG:
		return parse_flag(text, o->value.flag, err);
	case OPTION_STRING:
		*o->value.string = text;
		return 0;
	case OPTION_LIST:
		list_add(o->value.list, text);
		return 0;
	case OPTION_INT:
		return num_parse_int(text, bounded ? o->min : INT64_MIN, bounded ? o->max : INT64_MAX, o->value.number,
				     err);
	case OPTION_DOUBLE:
		return num_parse_double(text, real_bounded ? o->real_min : -1e300, real_bounded ? o->real_max : 1e300,
					o->value.real, err);
	case OPTION_DURATION:
		return num_parse_duration(text, o->value.number, err);
	case OPTION_SIZE:
		return num_parse_size(text, o->value.number, err);
	case OPTION_ENUM:
		return parse_choice(o, text, err);
	case OPTION_END:
		break;
	}
	return error_set(err, ERR_INTERNAL, "an option without a kind");
}

/* A value from anywhere, with the place it came from in front of what is wrong with it. */
static int set_value(const struct option *o, const char *text, struct source from, struct error *err)
{
	if (parse_value(o, text, err) == 0)
		return 0;
	if (o->attributes & OPTION_SECRET)
		(void)error_set(err, ERR_USAGE, "the value cannot be used");
	return error_context(err, "%s%s", from.prefix, from.name);
}

static bool is_given(const struct options_result *result, const struct option *o)
{
	for (size_t i = 0; i < result->given_count; i++) {
		if (result->given[i] == o)
			return true;
	}
	return false;
}

static void mark_given(struct options_result *result, const struct option *o)
{
	if (is_given(result, o))
		return;
	MEM_GROW(result->given, result->given_count, result->given_capacity);
	result->given[result->given_count++] = o;
}

bool options_given(const struct options_result *result, const char *long_name)
{
	for (size_t i = 0; i < result->given_count; i++) {
		if (strcmp(result->given[i]->long_name, long_name) == 0)
			return true;
	}
	return false;
}

const char *options_suggest(const char *word, const char *const *names)
{
	return word_suggest(word, names);
}

static int unknown_option(const struct option *const *tables, const char *name, size_t len, struct error *err)
{
	const char *names[256];
	size_t count = 0;
	for (; *tables; tables++) {
		for (const struct option *o = *tables; o->kind != OPTION_END && count < 255; o++) {
			if (!(o->attributes & OPTION_HIDDEN))
				names[count++] = o->long_name;
		}
	}
	names[count] = NULL;
	char *word = mem_strndup(name, len);
	const char *near = options_suggest(word, names);
	if (near)
		(void)error_set(err, ERR_USAGE, "unknown option --%s; did you mean --%s?", word, near);
	else
		(void)error_set(err, ERR_USAGE, "unknown option --%s; see --help", word);
	free(word);
	return -err->code;
}

/* The state of one pass over the command line. */
struct parser {
	const struct option *const *tables;
	int count;
	char **words;
	int at;
	struct options_result *result;
};

static bool has_suffix(const char *text, const char *suffix)
{
	size_t len = strlen(text), n = strlen(suffix);
	return len >= n && strcmp(text + len - n, suffix) == 0;
}

/* "--migration a.sql b.sql": b.sql belongs to the option too. */
static void take_greedy(struct parser *p, const struct option *o)
{
	while (o->greedy_suffix && p->at + 1 < p->count && p->words[p->at + 1][0] != '-' &&
	       has_suffix(p->words[p->at + 1], o->greedy_suffix))
		list_add(o->value.list, p->words[++p->at]);
}

/* value NULL: the next word, where the option takes one. */
static int take_option(struct parser *p, const struct option *o, const char *shown, const char *value,
		       struct error *err)
{
	mark_given(p->result, o);
	if (o->kind == OPTION_FLAG && !value) {
		*o->value.flag = true;
		return 0;
	}
	if (!value) {
		if (p->at + 1 >= p->count)
			return error_set(err, ERR_USAGE, "%s needs a value: %s", shown,
					 o->metavar ? o->metavar : "VALUE");
		value = p->words[++p->at];
	}
	if (set_value(o, value, (struct source){"", shown}, err) < 0)
		return -err->code;
	if (o->kind == OPTION_LIST)
		take_greedy(p, o);
	return 0;
}

static int take_long(struct parser *p, const char *word, struct error *err)
{
	const char *name = word + 2;
	const char *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct option *o = find_by(p->tables, name, len, 0);
	if (!o && !equals && strncmp(name, "no-", 3) == 0) {
		o = find_by(p->tables, name + 3, len - 3, 0);
		if (o && o->kind == OPTION_FLAG) {
			mark_given(p->result, o);
			*o->value.flag = false;
			return 0;
		}
		o = NULL;
	}
	if (!o)
		return unknown_option(p->tables, name, len, err);
	char *shown = mem_printf("--%s", o->long_name);
	int rc = take_option(p, o, shown, equals ? equals + 1 : NULL, err);
	free(shown);
	return rc;
}

/* "-o value", "-ovalue", and flags in one word: "-qv". */
static int take_short(struct parser *p, const char *word, struct error *err)
{
	for (const char *c = word + 1; *c; c++) {
		const struct option *o = find_by(p->tables, NULL, 0, *c);
		char shown[] = {'-', *c, '\0'};
		if (!o)
			return error_set(err, ERR_USAGE, "unknown option %s; see --help",
					 isprint((unsigned char)*c) ? shown : "-?");
		if (o->kind != OPTION_FLAG)
			return take_option(p, o, shown, c[1] ? c + 1 : NULL, err);
		if (take_option(p, o, shown, NULL, err) < 0)
			return -err->code;
	}
	return 0;
}

static int parse_words(struct parser *p, struct error *err)
{
	struct options_result *result = p->result;
	bool options_ended = false;
	for (p->at = 0; p->at < p->count; p->at++) {
		char *word = p->words[p->at];
		int rc = 0;
		if (options_ended || word[0] != '-' || word[1] == '\0')
			result->arguments[result->argument_count++] = word;
		else if (strcmp(word, "--") == 0)
			options_ended = true;
		else if (word[1] == '-')
			rc = take_long(p, word, err);
		else
			rc = take_short(p, word, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

void options_environment_name(const char *long_name, struct strbuf *out)
{
	strbuf_add_str(out, "REHEARSE_");
	for (const char *c = long_name; *c; c++)
		strbuf_add_char(out, *c == '-' ? '_' : (char)toupper((unsigned char)*c));
}

/* A list in the environment has one item per line. */
static int set_from_environment(const struct option *o, struct options_result *result, struct error *err)
{
	struct strbuf name;
	strbuf_init(&name, 200);
	options_environment_name(o->long_name, &name);
	char *value = getenv(name.data);
	int rc = 0;
	if (value && *value) {
		mark_given(result, o);
		if (o->kind == OPTION_LIST) {
			char *rest = value;
			for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
				if (*line)
					list_add(o->value.list, line);
			}
		} else {
			rc = set_value(o, value, (struct source){"", name.data}, err);
		}
	}
	strbuf_release(&name);
	return rc;
}

static int set_from_config(const struct option *o, const char *section, const struct config *config,
			   struct options_result *result, struct error *err)
{
	bool known = is_given(result, o);
	for (const struct config_entry *e = config_next(config, section, NULL); e;
	     e = config_next(config, section, e)) {
		if (strcmp(e->name, o->long_name) != 0)
			continue;
		if (known)
			return 0;
		mark_given(result, o);
		char *place = mem_printf("%s:%d: ", config->path, e->line);
		int rc = set_value(o, e->value, (struct source){place, e->name}, err);
		free(place);
		if (rc < 0) {
			err->code = ERR_DATA;
			return -ERR_DATA;
		}
	}
	return 0;
}

/* Everything at zero, so that a value is only ever what this parse found. */
static void clear_value(const struct option *o)
{
	switch (o->kind) {
	case OPTION_FLAG:
		*o->value.flag = false;
		break;
	case OPTION_STRING:
		*o->value.string = NULL;
		break;
	case OPTION_LIST:
		o->value.list->count = 0;
		break;
	case OPTION_DOUBLE:
		*o->value.real = 0;
		break;
	case OPTION_ENUM:
		*o->value.choice = 0;
		break;
	case OPTION_INT:
	case OPTION_DURATION:
	case OPTION_SIZE:
		*o->value.number = 0;
		break;
	case OPTION_END:
		break;
	}
}

static int fill_rest(const struct option *o, const char *section, const struct config *config,
		     struct options_result *result, struct error *err)
{
	if (!is_given(result, o) && set_from_environment(o, result, err) < 0)
		return -err->code;
	if (config && set_from_config(o, section, config, result, err) < 0)
		return -err->code;
	if (config && set_from_config(o, "rehearse", config, result, err) < 0)
		return -err->code;
	if (is_given(result, o))
		return 0;
	if (o->attributes & OPTION_REQUIRED)
		return error_set(err, ERR_USAGE, "--%s %s is missing; see --help", o->long_name, o->metavar);
	if (!o->standard)
		return 0;
	return set_value(o, o->standard, (struct source){"default of --", o->long_name}, err);
}

int options_parse(const struct option *const *tables, const char *section, int count, char **words,
		  const struct config *config, struct options_result *result, struct error *err)
{
	memset(result, 0, sizeof(*result));
	result->arguments = mem_zalloc((size_t)count + 1, sizeof(*result->arguments));
	for (const struct option *const *t = tables; *t; t++) {
		for (const struct option *o = *t; o->kind != OPTION_END; o++)
			clear_value(o);
	}
	struct parser parser = {.tables = tables, .count = count, .words = words, .result = result};
	if (parse_words(&parser, err) < 0)
		return -err->code;
	for (const struct option *const *t = tables; *t; t++) {
		for (const struct option *o = *t; o->kind != OPTION_END; o++) {
			if (fill_rest(o, section, config, result, err) < 0)
				return -err->code;
		}
	}
	return 0;
}

void options_result_release(struct options_result *result)
{
	free(result->arguments);
	free(result->given);
	memset(result, 0, sizeof(*result));
}

const char *options_peek(const char *long_name, int count, char **words)
{
	size_t len = strlen(long_name);
	for (int i = 0; i < count && strcmp(words[i], "--") != 0; i++) {
		if (strncmp(words[i], "--", 2) != 0 || strncmp(words[i] + 2, long_name, len) != 0)
			continue;
		const char *rest = words[i] + 2 + len;
		if (*rest == '=')
			return rest + 1;
		if (*rest == '\0')
			return i + 1 < count ? words[i + 1] : NULL;
	}
	return NULL;
}

void options_release(const struct option *const *tables)
{
	for (; *tables; tables++) {
		for (const struct option *o = *tables; o->kind != OPTION_END; o++) {
			if (o->kind != OPTION_LIST)
				continue;
			free(o->value.list->items);
			memset(o->value.list, 0, sizeof(*o->value.list));
		}
	}
}
