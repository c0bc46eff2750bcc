/* A traced migration's ledger as a command prints it: see trace_report.h. */
#include "trace_report.h"

#include "clock.h"
#include "lock_effect.h"
#include "output.h"
#include "trace_blocked.h"
#include "trace_table.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SCHEMA	       "rehearse.trace/1"
#define TABLE_MAX      ((size_t)64 * 1024 * 1024)
#define WIDTH_STANDARD 80
#define WIDTH_MAX      200 /* lines that are longer are hard to read */

/* Of the terminal that stdout is, else what COLUMNS says, else 80. */
static int find_width(void)
{
	struct winsize size = {0};
	int width = WIDTH_STANDARD;
	const char *columns = getenv("COLUMNS");
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		width = size.ws_col;
	else if (columns && strtol(columns, NULL, 10) > 0 && strtol(columns, NULL, 10) <= WIDTH_MAX)
		width = (int)strtol(columns, NULL, 10);
	if (width < TRACE_TABLE_WIDTH_MIN)
		return TRACE_TABLE_WIDTH_MIN;
	return width > WIDTH_MAX ? WIDTH_MAX : width;
}

static void set(json_t *object, const char *key, json_t *value)
{
	(void)json_object_set_new(object, key, value);
}

static json_t *blocked_to_json(const struct ledger *ledger)
{
	json_t *list = json_array();
	struct trace_blocked blocked;
	trace_blocked_init(&blocked, ledger);
	for (size_t i = 0; i < blocked.count; i++) {
		const struct trace_blocked_relation *relation = &blocked.items[i];
		json_t *object = json_object();
		set(object, "relation", json_string(relation->name));
		set(object, "blocks", json_string(lock_effect_words(relation->effect)));
		set(object, "longest_ms", json_real(ns_to_ms(relation->longest_ns)));
		set(object, "total_ms", json_real(ns_to_ms(relation->total_ns)));
		(void)json_array_append_new(list, object);
	}
	trace_blocked_release(&blocked);
	return list;
}

static json_t *report_to_json(const struct ledger *ledger, json_t *extra)
{
	json_t *root = json_object();
	set(root, "schema", json_string(SCHEMA));
	set(root, "outcome", json_string(ledger_outcome_name(ledger->outcome)));
	set(root, "problem", ledger->problem ? json_string(ledger->problem) : json_null());
	set(root, "tool", ledger_tool_to_json(ledger));
	set(root, "start_s", json_real(ns_to_s(ledger->start_ns)));
	set(root, "end_s", json_real(ns_to_s(ledger->end_ns)));
	set(root, "statements_not_run", json_integer((json_int_t)ledger->statements_not_run));
	set(root, "migration", ledger_to_json(ledger));
	set(root, "out_of_reach", blocked_to_json(ledger));
	if (extra)
		(void)json_object_update_missing(root, extra);
	return root;
}

static int exit_code(const struct ledger *ledger, struct error *err)
{
	switch (ledger->outcome) {
	case LEDGER_OK:
		return ledger->problem ? 2 : 0;
	case LEDGER_CANCELLED:
		return error_set(err, ERR_INTERRUPTED, "interrupted");
	case LEDGER_NONE:
		return 2;
	case LEDGER_FAILED:
	case LEDGER_TIMEOUT:
	default:
		return 1;
	}
}

int trace_report(const struct command_call *call, const struct ledger *ledger, json_t *extra, bool whole_sql,
		 struct error *err)
{
	if (call->json) {
		json_t *root = report_to_json(ledger, extra);
		output_json(root);
		json_decref(root);
	} else {
		const struct trace_table_options options = {.width = find_width(), .whole_sql = whole_sql};
		struct strbuf text;
		strbuf_init(&text, TABLE_MAX);
		trace_table_format(ledger, &options, &text);
		output_string(text.data);
		if (text.overflow)
			output_warning("the table is longer than %zu bytes: it is cut; --json has all of it",
				       TABLE_MAX);
		strbuf_release(&text);
	}
	return exit_code(ledger, err);
}
