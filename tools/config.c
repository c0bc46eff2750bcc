/* rehearse.ini: see config.h. */
#include "config.h"

#include "mem.h"

#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* libinih tells its handler no line number, so the lines are counted where it reads them. */
struct reading {
	FILE *stream;
	int line;
	int long_line; /* the first one that libinih's buffer does not hold, 0 for none */
	struct config *config;
};

static char *read_line(char *buffer, int size, void *context)
{
	struct reading *reading = context;
	reading->line++;
	char *got = fgets(buffer, size, reading->stream);
	if (got && strlen(got) + 1 == (size_t)size && got[size - 2] != '\n' && !reading->long_line)
		reading->long_line = reading->line;
	return got;
}

/*
 * libinih ends a name at the first '=' or ':', which cuts "stall.max{table=orders} = fail" inside the braces: the rest
 * of the braces is at the value's beginning then.
 */
static void split_braced(const char *name, const char *value, char **out_name, char **out_value)
{
	const char *open = strchr(name, '{');
	const char *close = open && !strchr(open, '}') ? strchr(value, '}') : NULL;
	const char *equals = close ? close + 1 + strspn(close + 1, " \t") : NULL;
	if (!equals || *equals != '=') {
		*out_name = mem_strdup(name);
		*out_value = mem_strdup(value);
		return;
	}
	*out_name = mem_printf("%s=%.*s", name, (int)(close + 1 - value), value);
	*out_value = mem_strdup(equals + 1 + strspn(equals + 1, " \t"));
}

static int handle_entry(void *context, const char *section, const char *name, const char *value)
{
	struct reading *reading = context;
	struct config *config = reading->config;
	if (!*section)
		return 0;
	MEM_GROW(config->entries, config->count, config->capacity);
	struct config_entry *entry = &config->entries[config->count++];
	entry->section = mem_strdup(section);
	split_braced(name, value, &entry->name, &entry->value);
	entry->line = reading->line;
	return 1;
}

static char *find_file(void)
{
	if (access("rehearse.ini", F_OK) == 0)
		return mem_strdup("rehearse.ini");
	const char *folder = getenv("XDG_CONFIG_HOME");
	const char *home = getenv("HOME");
	char *path = NULL;
	if (folder && *folder == '/')
		path = mem_printf("%s/rehearse.ini", folder);
	else if (home && *home)
		path = mem_printf("%s/.config/rehearse.ini", home);
	if (path && access(path, F_OK) == 0)
		return path;
	free(path);
	return NULL;
}

int config_load(const char *path, struct config *config, struct error *err)
{
	memset(config, 0, sizeof(*config));
	config->path = path && *path ? mem_strdup(path) : find_file();
	if (!config->path)
		return 0;
	FILE *stream = fopen(config->path, "re");
	if (!stream)
		return error_set_errno(err, ERR_DATA, "%s", config->path);
	struct reading reading = {.stream = stream, .config = config};
	int line = ini_parse_stream(read_line, &reading, handle_entry, &reading);
	bool failed = ferror(stream) != 0;
	(void)fclose(stream);
	if (failed)
		return error_set(err, ERR_DATA, "%s: cannot be read", config->path);
	if (reading.long_line != 0)
		return error_set(err, ERR_DATA, "%s:%d: the line is too long", config->path, reading.long_line);
	if (line != 0)
		return error_set(err, ERR_DATA, "%s:%d: neither [section] nor name = value in a section", config->path,
				 line);
	return 0;
}

void config_release(struct config *config)
{
	for (size_t i = 0; i < config->count; i++) {
		free(config->entries[i].section);
		free(config->entries[i].name);
		free(config->entries[i].value);
	}
	free(config->entries);
	free(config->path);
	memset(config, 0, sizeof(*config));
}

const struct config_entry *config_next(const struct config *config, const char *section,
				       const struct config_entry *previous)
{
	size_t from = previous ? (size_t)(previous - config->entries) + 1 : 0;
	for (size_t i = from; i < config->count; i++) {
		if (strcmp(config->entries[i].section, section) == 0)
			return &config->entries[i];
	}
	return NULL;
}
