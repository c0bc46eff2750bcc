/* The history changed without running SQL of the team's: see workflow_mark.h. */
#include "workflow_mark.h"

#include "mem.h"

#define RESET_SQL_MAX ((size_t)256 * 1024 * 1024) /* WORKFLOW_MIGRATIONS_MAX rows of the longest kind */

static struct workflow_entry entry_of(struct workflow_session *session, const struct workflow_view *view,
				      size_t migration, enum workflow_state state, const char *reason)
{
	const struct workflow_migration *from = &view->folder->migrations[migration];
	return (struct workflow_entry){.id = from->meta.id,
				       .title = from->meta.title,
				       .checksum = from->checksum,
				       .state = state,
				       .batch = workflow_history_last_batch(view->history) + 1,
				       .applied_by = workflow_session_user(session),
				       .duration_ms = -1,
				       .reason = reason};
}

int workflow_mark_skipped(struct workflow_session *session, const struct workflow_view *view, size_t migration,
			  const char *reason, struct error *err)
{
	if (workflow_view_is_done(view, migration))
		return error_set(err, ERR_USAGE, "%s is %s already", view->folder->migrations[migration].meta.id,
				 workflow_status_name(view->status[migration]));
	bool half = view->status[migration] == WORKFLOW_IS_HALF_UP || view->status[migration] == WORKFLOW_IS_HALF_DOWN;
	const struct workflow_entry entry =
		entry_of(session, view, migration, half ? WORKFLOW_APPLIED : WORKFLOW_SKIPPED, reason);
	int rc = workflow_session_create_table(session, err);
	return rc ? rc : workflow_session_put(session, &entry, err);
}

int workflow_mark_undone(struct workflow_session *session, const struct workflow_view *view, size_t migration,
			 struct error *err)
{
	const char *id = view->folder->migrations[migration].meta.id;
	switch (view->status[migration]) {
	case WORKFLOW_IS_SKIPPED:
	case WORKFLOW_IS_HALF_UP:
	case WORKFLOW_IS_HALF_DOWN:
		return workflow_session_forget(session, id, err);
	case WORKFLOW_IS_PENDING:
	case WORKFLOW_IS_LEFT:
	case WORKFLOW_IS_APPLIED:
	default:
		return error_set(err, ERR_USAGE, "%s is %s: there is no mark to take back", id,
				 workflow_status_name(view->status[migration]));
	}
}

void workflow_reset_plan(const struct workflow_view *view, size_t to, struct workflow_reset *reset)
{
	size_t count = view->folder->count;
	memset(reset, 0, sizeof(*reset));
	reset->mark = mem_zalloc(count + 1, sizeof(*reset->mark));
	reset->forget = mem_zalloc(count + 1, sizeof(*reset->forget));
	reset->forget_rows = mem_zalloc(view->without_files_count + 1, sizeof(*reset->forget_rows));
	bool *wanted = mem_zalloc(count + 1, sizeof(*wanted));
	if (to != WORKFLOW_NONE)
		wanted[to] = true;
	workflow_graph_mark_dependencies(&view->graph, wanted);
	for (size_t i = 0; i < count; i++) {
		reset->mark[i] = wanted[i] && (!workflow_view_is_done(view, i) || view->changed[i]);
		reset->forget[i] = !wanted[i] && view->records[i];
		reset->mark_count += reset->mark[i];
		reset->forget_count += reset->forget[i];
	}
	for (size_t i = 0; i < view->without_files_count; i++)
		reset->forget_rows[reset->forget_row_count++] = view->without_files[i];
	reset->forget_count += reset->forget_row_count;
	free(wanted);
}

void workflow_reset_release(struct workflow_reset *reset)
{
	free(reset->mark);
	free(reset->forget);
	free(reset->forget_rows);
	memset(reset, 0, sizeof(*reset));
}

int workflow_reset_apply(struct workflow_session *session, const struct workflow_view *view,
			 const struct workflow_reset *reset, struct error *err)
{
	const struct workflow_table *table = workflow_session_table(session);
	struct strbuf sql;
	if (reset->mark_count + reset->forget_count == 0)
		return 0;
	int rc = workflow_session_create_table(session, err);
	if (rc)
		return rc;
	strbuf_init(&sql, RESET_SQL_MAX);
	for (size_t i = 0; i < reset->forget_row_count; i++)
		workflow_history_sql_forget(table, reset->forget_rows[i]->id, &sql);
	for (size_t i = 0; i < view->folder->count; i++) {
		if (reset->forget[i])
			workflow_history_sql_forget(table, view->folder->migrations[i].meta.id, &sql);
	}
	for (size_t n = 0; n < view->graph.count; n++) { /* what is needed first, so that times are in order */
		size_t i = view->graph.order[n];
		if (!reset->mark[i])
			continue;
		const struct workflow_entry entry = entry_of(session, view, i, WORKFLOW_APPLIED, "reset");
		workflow_session_sql_put(session, &entry, &sql);
	}
	if (sql.overflow)
		rc = error_set(err, ERR_INTERNAL, "too many migrations for one reset");
	else
		rc = workflow_session_run(session, sql.data, err);
	strbuf_release(&sql);
	return rc;
}
