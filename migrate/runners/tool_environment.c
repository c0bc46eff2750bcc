/* Where a migration tool finds the clone: see tool_environment.h. */
#include "tool_environment.h"

#include "mem.h"

#include <stdbool.h>

/*
 * All that libpq reads (PGSERVICE, PGHOSTADDR, PGOPTIONS …) and whatever else teams name after PG; those of other tools
 * are replaced one by one below.
 */
const char *const tool_environment_without[] = {"PG*", NULL};

/* Variables that hold a URL, in the form that their readers want. */
static const char *const url_names[] = {
	"DATABASE_URL", /* Rails, Django (dj-database-url), Prisma, dbmate, golang-migrate's users, sqlx … */
	"SQLALCHEMY_DATABASE_URI", /* Flask-Migrate */
};

/* What Java tools read: Flyway and Liquibase by themselves, JDBC_* by the convention of platforms. */
static const char *const java_names[][3] = {
	{"FLYWAY_URL", "FLYWAY_USER", "FLYWAY_PASSWORD"},
	{"LIQUIBASE_COMMAND_URL", "LIQUIBASE_COMMAND_USERNAME", "LIQUIBASE_COMMAND_PASSWORD"},
	{"JDBC_DATABASE_URL", "JDBC_DATABASE_USERNAME", "JDBC_DATABASE_PASSWORD"},
};

void tool_environment_add(struct tool_environment *environment, const char *name, const char *value)
{
	while (environment->count + 2 > environment->capacity) {
		environment->capacity = environment->capacity ? environment->capacity * 2 : 32;
		environment->variables =
			mem_realloc(environment->variables, environment->capacity, sizeof(*environment->variables));
	}
	environment->variables[environment->count++] = mem_printf("%s=%s", name, value);
	environment->variables[environment->count] = NULL;
}

/* No more than these: Go's lib/pq ends with an error for one of libpq's that it does not know (PGGSSENCMODE). */
static void add_libpq(struct tool_environment *environment, const struct tool_place *place, const char *port)
{
	tool_environment_add(environment, "PGHOST", "127.0.0.1");
	tool_environment_add(environment, "PGPORT", port);
	tool_environment_add(environment, "PGUSER", place->user);
	tool_environment_add(environment, "PGPASSWORD", place->password);
	tool_environment_add(environment, "PGDATABASE", place->database);
	tool_environment_add(environment, "PGSSLMODE", "disable"); /* it never leaves this machine */
}

/* A database's name may hold anything; in a URL only these stand for themselves (RFC 3986, unreserved). */
static char *percent_encode(const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	char *out = mem_alloc(strlen(text) * 3 + 1);
	size_t n = 0;
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
			     strchr("-._~", *p);
		if (plain) {
			out[n++] = (char)*p;
			continue;
		}
		out[n++] = '%';
		out[n++] = digits[*p >> 4];
		out[n++] = digits[*p & 15];
	}
	out[n] = '\0';
	return out;
}

static void add_java(struct tool_environment *environment, const struct tool_place *place)
{
	char *database = percent_encode(place->database);
	char *url = mem_printf("jdbc:postgresql://127.0.0.1:%d/%s?sslmode=disable", place->port, database);
	for (size_t i = 0; i < sizeof(java_names) / sizeof(*java_names); i++) {
		tool_environment_add(environment, java_names[i][0], url);
		tool_environment_add(environment, java_names[i][1], place->user);
		tool_environment_add(environment, java_names[i][2], place->password);
	}
	free(url);
	free(database);
}

/*
 * In another scheme when asked. Drivers that are not libpq's may not know its parameter sslmode (SQLAlchemy's asyncpg
 * and pg8000 end with an error); they have PGSSLMODE.
 */
static char *make_url(const struct tool_place *place)
{
	const char *rest = strstr(place->url, "://");
	if (!place->scheme || !rest)
		return mem_strdup(place->url);
	bool other_driver = strchr(place->scheme, '+') && !strstr(place->scheme, "+psycopg");
	size_t len = other_driver ? strcspn(rest, "?") : strlen(rest);
	return mem_printf("%s%.*s", place->scheme, (int)len, rest);
}

void tool_environment_init(struct tool_environment *environment, const struct tool_place *place,
			   const char *const *names, size_t name_count)
{
	char port[16];
	char *url = make_url(place);
	memset(environment, 0, sizeof(*environment));
	(void)snprintf(port, sizeof(port), "%d", place->port);
	add_libpq(environment, place, port);
	for (size_t i = 0; i < sizeof(url_names) / sizeof(*url_names); i++)
		tool_environment_add(environment, url_names[i], url);
	for (size_t i = 0; i < name_count; i++)
		tool_environment_add(environment, names[i], url);
	add_java(environment, place);
	/* Our own `migrate`: it goes there, and leaves measuring to the proxy. */
	tool_environment_add(environment, "REHEARSE_TARGET", place->url);
	tool_environment_add(environment, "REHEARSE_MEASURE", "no");
	free(url);
}

void tool_environment_release(struct tool_environment *environment)
{
	for (size_t i = 0; i < environment->count; i++)
		free(environment->variables[i]);
	free(environment->variables);
	memset(environment, 0, sizeof(*environment));
}
