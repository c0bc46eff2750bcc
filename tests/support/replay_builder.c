/* Replay files made by hand for tests: see replay_builder.h. */
#include "replay_builder.h"

#include "clock.h"
#include "mem.h"
#include "sql_fingerprint.h"

#define MAX_LITERALS   64
#define MAX_PARAMETERS 16
#define START_WALL_NS  (INT64_C(1700000000) * NS_PER_S)

struct replay_builder {
	struct replay_writer *writer;
	uint64_t line;
};

static void check(int rc, const struct error *err)
{
	if (rc < 0) {
		(void)fprintf(stderr, "replay_builder: %s\n", err->text);
		abort();
	}
}

struct replay_builder *replay_builder_new(const char *path)
{
	struct error err = ERROR_INIT;
	struct replay_builder *builder = mem_zalloc(1, sizeof(*builder));
	check(replay_writer_open(path, &builder->writer, &err), &err);
	(void)replay_writer_add_source(builder->writer, "by-hand.csv");
	return builder;
}

uint32_t replay_builder_session(struct replay_builder *builder, const char *user, const char *database)
{
	struct replay_session session = {.user = span_from_str(user),
					 .database = span_from_str(database),
					 .application = span_from_str("test"),
					 .client = span_from_str("[local]")};
	return replay_writer_add_session(builder->writer, &session);
}

static void add(struct replay_builder *builder, struct item *item, int at_ms)
{
	struct error err = ERROR_INIT;
	item->time_ns = START_WALL_NS + (int64_t)at_ms * NS_PER_MS;
	item->duration_ns = -1;
	item->source_line = ++builder->line;
	check(replay_writer_add_item(builder->writer, item, &err), &err);
}

static void add_bare(struct replay_builder *builder, enum item_kind kind, uint32_t session, int at_ms)
{
	struct item item = {.kind = kind, .session = session, .text = ITEM_NO_TEXT};
	add(builder, &item, at_ms);
}

void replay_builder_connect(struct replay_builder *builder, uint32_t session, int at_ms)
{
	add_bare(builder, ITEM_CONNECT, session, at_ms);
}

void replay_builder_cancel(struct replay_builder *builder, uint32_t session, int at_ms)
{
	add_bare(builder, ITEM_CANCEL, session, at_ms);
}

void replay_builder_disconnect(struct replay_builder *builder, uint32_t session, int at_ms)
{
	add_bare(builder, ITEM_DISCONNECT, session, at_ms);
}

/* The text's template becomes a new row each time: a test file is small. */
static void add_statement(struct replay_builder *builder, struct item *item, int at_ms, const char *sql)
{
	struct span literals[MAX_LITERALS];
	size_t count = 0;
	struct strbuf template_text;
	struct strbuf normalized;
	strbuf_init(&template_text, (size_t)1 << 24);
	strbuf_init(&normalized, (size_t)1 << 20);
	struct span text = span_from_str(sql);
	if (sql_template_split(SQL_POSTGRESQL, text, &template_text, literals, MAX_LITERALS, &count)) {
		struct replay_text row = {.fingerprint = sql_fingerprint(SQL_POSTGRESQL, text, &normalized)};
		row.template_text = (struct span){template_text.data, template_text.len};
		row.normalized = (struct span){normalized.data, normalized.len};
		item->text = replay_writer_add_text(builder->writer, &row);
	} else {
		item->text = REPLAY_TEXT_WHOLE;
		literals[0] = text;
		count = 1;
	}
	item->literals = literals;
	item->literal_count = (uint32_t)count;
	add(builder, item, at_ms);
	strbuf_release(&template_text);
	strbuf_release(&normalized);
}

void replay_builder_simple(struct replay_builder *builder, uint32_t session, int at_ms, const char *sql)
{
	struct item item = {.kind = ITEM_SIMPLE, .session = session};
	add_statement(builder, &item, at_ms, sql);
}

void replay_builder_execute(struct replay_builder *builder, uint32_t session, int at_ms, const char *name,
			    const char *sql, const char *const *values)
{
	struct span parameters[MAX_PARAMETERS];
	struct item item = {.kind = ITEM_EXECUTE, .session = session, .statement_name = span_from_str(name)};
	for (; values && values[item.parameter_count]; item.parameter_count++) {
		const char *value = values[item.parameter_count];
		parameters[item.parameter_count] =
			strcmp(value, "\\N") == 0 ? (struct span){NULL, 0} : span_from_str(value);
	}
	item.parameters = parameters;
	add_statement(builder, &item, at_ms, sql);
}

void replay_builder_finish(struct replay_builder *builder)
{
	struct error err = ERROR_INIT;
	json_t *capture = json_pack("{s:s}", "schema", "rehearse.create-replay/1");
	check(replay_writer_commit(builder->writer, capture, &err), &err);
	json_decref(capture);
	free(builder);
}
