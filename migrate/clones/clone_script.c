/* The user's scripts for clones: see clone_script.h. */
#include "clone_script.h"

#include "clock.h"
#include "clone_processes.h"
#include "mem.h"
#include "process.h"
#include "strbuf.h"

#include <ctype.h>

#define OUTPUT_MAX	((size_t)64 * 1024)
#define ENVIRONMENT_MAX 16

struct environment {
	char *variables[ENVIRONMENT_MAX + 1];
	size_t count;
};

static void add(struct environment *environment, const char *name, const char *value)
{
	if (environment->count < ENVIRONMENT_MAX)
		environment->variables[environment->count++] =
			mem_printf("REHEARSE_CLONE_%s=%s", name, value ? value : "");
}

static void describe(const struct clone_script *script, struct environment *out)
{
	const struct clone_record *record = script->record;
	char expires[RFC3339_MAX], point[RFC3339_MAX] = "", seconds[32];
	char *owner = mem_printf("%s@%s:%ld", record->owner.user, record->owner.host, (long)record->owner.pid);
	char *path = mem_printf("%s/%s.json", script->state_folder, record->name);
	clock_format_rfc3339(clone_record_expiry_wall_ns(record), expires);
	if (record->point_in_time_wall_ns)
		clock_format_rfc3339(record->point_in_time_wall_ns, point);
	(void)snprintf(seconds, sizeof(seconds), "%lld", (long long)(record->time_to_live_ns / NS_PER_S));
	memset(out, 0, sizeof(*out));
	add(out, "NAME", record->name);
	add(out, "SET", record->set);
	add(out, "LANE", record->lane);
	add(out, "ID", record->id);
	add(out, "OWNER", owner);
	add(out, "TTL", seconds);
	add(out, "EXPIRES", expires);
	add(out, "SOURCE", script->source);
	add(out, "POINT_IN_TIME", point);
	add(out, "RECORD", path);
	add(out, "URL", script->url);
	free(path);
	free(owner);
}

static void forget(struct environment *environment)
{
	for (size_t i = 0; i < environment->count; i++) {
		explicit_bzero(environment->variables[i], strlen(environment->variables[i]));
		free(environment->variables[i]);
	}
}

/* The last line that has something in it, to be freed; "" for none. */
static char *last_line(const struct strbuf *text)
{
	size_t end = text->len;
	while (end > 0 && isspace((unsigned char)text->data[end - 1]))
		end--;
	size_t start = end;
	while (start > 0 && text->data[start - 1] != '\n')
		start--;
	while (start < end && isspace((unsigned char)text->data[start]))
		start++;
	return mem_strndup(text->data + start, end - start);
}

static int run(const struct clone_script *script, const char *command, int64_t timeout_ns, struct strbuf *results,
	       char **complaint, int *code, struct error *err)
{
	struct environment environment;
	struct strbuf said;
	strbuf_init(&said, OUTPUT_MAX);
	describe(script, &environment);
	struct process_options options = PROCESS_OPTIONS_INIT;
	options.argv = (const char *const[]){"sh", "-c", command, NULL};
	options.environment = (const char *const *)environment.variables;
	options.own_group = true;
	options.timeout_ns = timeout_ns;
	options.results = results;
	int rc = process_run(&options, script->cancelled, &said, code, err);
	/* Its last words, with whatever looks like a URL's password taken out. */
	char *line = last_line(&said);
	*complaint = clone_url_without_password(line);
	free(line);
	forget(&environment);
	strbuf_release(&said);
	return rc;
}

static int failed(const struct clone_script *script, const char *what, int code, const char *complaint,
		  struct error *err)
{
	return error_set(err, ERR_UNAVAILABLE, "the %s command for clone %s ended with %d%s%.300s", what,
			 script->record->name, code, *complaint ? ": " : "", complaint);
}

/* A URL, or a JSON object with one. */
static int read_url(const struct clone_script *script, const char *line, char **url, struct error *err)
{
	if (*line == '{') {
		json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		const char *text = json_string_value(json_object_get(object, "url"));
		*url = text ? mem_strdup(text) : NULL;
		json_decref(object);
	} else {
		*url = mem_strdup(line);
	}
	const char *scheme = *url ? strstr(*url, "://") : NULL;
	bool good = scheme && scheme > *url && !strpbrk(*url, " \t\r\n\"'");
	for (const char *p = *url; good && p < scheme; p++)
		good = islower((unsigned char)*p);
	if (good)
		return 0;
	free(*url);
	*url = NULL;
	return error_set(err, ERR_DATA,
			 "the create command for clone %s has to print the clone's URL in its last line, such as "
			 "postgresql://user@host:5432/database, or {\"url\": \"…\"}",
			 script->record->name);
}

int clone_script_create(const struct clone_script *script, const struct clone_commands *commands, char **url,
			struct error *err)
{
	struct strbuf results;
	char *complaint;
	int code = 0;
	*url = NULL;
	strbuf_init(&results, OUTPUT_MAX);
	int rc = run(script, commands->create, commands->timeout_ns, &results, &complaint, &code, err);
	if (rc)
		rc = error_context(err, "the create command for clone %s", script->record->name);
	else if (code)
		rc = failed(script, "create", code, complaint, err);
	if (rc == 0) {
		char *line = last_line(&results);
		rc = read_url(script, line, url, err);
		explicit_bzero(line, strlen(line));
		free(line);
	}
	if (results.len)
		explicit_bzero(results.data, results.len);
	strbuf_release(&results);
	free(complaint);
	return rc;
}

int clone_script_ready(const struct clone_script *script, const struct clone_commands *commands, struct error *err)
{
	char *complaint;
	int code = 0;
	int rc = run(script, commands->ready, commands->timeout_ns, NULL, &complaint, &code, err);
	free(complaint);
	if (rc)
		return error_context(err, "the ready command for clone %s", script->record->name);
	return code == 0;
}

int clone_script_destroy(const char *state_folder, const struct clone_record *record, const volatile bool *cancelled,
			 struct error *err)
{
	struct clone_script script = {.state_folder = state_folder,
				      .record = record,
				      .source = record->source,
				      .url = record->url,
				      .cancelled = cancelled};
	char *complaint;
	int code = 0;
	if (record->state == CLONE_MAKING)
		(void)clone_stop_scripts(record->id, record->lane);
	int rc = run(&script, record->destroy, record->timeout_ns, NULL, &complaint, &code, err);
	if (rc)
		rc = error_context(err, "the destroy command for clone %s", record->name);
	else if (code)
		rc = failed(&script, "destroy", code, complaint, err);
	free(complaint);
	return rc;
}
