/* `rehearse migrate status`, `skip` and `reset`: what a database remembers, and that put right by hand. */
#include "cmd_migrate.h"
#include "interrupt.h"
#include "json_file.h"
#include "output.h"
#include "stop_flag.h"

#include <string.h>

static void show_record(const struct workflow_record *record)
{
	char duration[40];
	if (!record)
		return;
	output_text("  %.19sZ by %s", record->applied_at, record->applied_by);
	if (record->duration_ms >= 0) {
		migrate_format_ns(record->duration_ms * 1000000, duration, sizeof(duration));
		output_text(", %s", duration);
	}
	if (record->statement > 0)
		output_text(", at statement %lld", (long long)record->statement);
	if (record->reason)
		output_text(" (%s)", record->reason);
}

static json_t *record_to_json(json_t *object, const struct workflow_record *record)
{
	if (!record)
		return object;
	(void)json_object_set_new(object, "applied_at", json_string(record->applied_at));
	(void)json_object_set_new(object, "applied_by",
				  json_from_bytes(record->applied_by, strlen(record->applied_by)));
	(void)json_object_set_new(object, "history_batch", json_integer(record->batch));
	(void)json_object_set_new(object, "duration_ms",
				  record->duration_ms >= 0 ? json_integer(record->duration_ms) : json_null());
	(void)json_object_set_new(object, "statement",
				  record->statement > 0 ? json_integer(record->statement) : json_null());
	(void)json_object_set_new(object, "reason",
				  record->reason ? json_from_bytes(record->reason, strlen(record->reason))
						 : json_null());
	return object;
}

static json_t *show_migration(const struct migrate_site *site, size_t i)
{
	const struct workflow_view *view = &site->view;
	const struct workflow_migration *migration = &site->folder.migrations[i];
	json_t *one = migrate_migration_to_json(migration);
	output_text("%-9s  %s  %s", workflow_status_name(view->status[i]), migration->meta.id, migration->meta.title);
	show_record(view->records[i]);
	if (view->status[i] == WORKFLOW_IS_LEFT)
		output_text("  to %s", migration->meta.skip);
	if (view->changed[i])
		output_text("  CHANGED since it was applied");
	output_text("\n");
	(void)json_object_set_new(one, "state", json_string(workflow_status_name(view->status[i])));
	(void)json_object_set_new(one, "changed", json_boolean(view->changed[i]));
	(void)json_object_set_new(one, "files", json_true());
	return record_to_json(one, view->records[i]);
}

static json_t *show_without_files(const struct workflow_record *record)
{
	json_t *one = json_pack("{s:s, s:o, s:s, s:b, s:b}", "id", record->id, "title",
				json_from_bytes(record->title, strlen(record->title)), "state",
				workflow_state_name(record->state), "changed", 0, "files", 0);
	output_text("%-9s  %s  %s", workflow_state_name(record->state), record->id, record->title);
	show_record(record);
	output_text("  FILES MISSING\n");
	return record_to_json(one, record);
}

static void show_status(const struct migrate_site *site)
{
	const struct workflow_view *view = &site->view;
	size_t by_status[WORKFLOW_IS_HALF_DOWN + 1] = {0}, changed = 0;
	json_t *list = json_array(), *counts = json_object();
	for (size_t n = 0; n < view->graph.count; n++) {
		size_t i = view->graph.order[n];
		by_status[view->status[i]]++;
		changed += view->changed[i];
		(void)json_array_append_new(list, show_migration(site, i));
	}
	for (size_t i = 0; i < view->without_files_count; i++)
		(void)json_array_append_new(list, show_without_files(view->without_files[i]));
	for (size_t i = 0; i <= WORKFLOW_IS_HALF_DOWN; i++) {
		const char *name = workflow_status_name((enum workflow_status)i);
		(void)json_object_set_new(counts, name, json_integer((json_int_t)by_status[i]));
		output_text("%s%zu %s", i ? ", " : "", by_status[i], name);
	}
	(void)json_object_set_new(counts, "changed", json_integer((json_int_t)changed));
	(void)json_object_set_new(counts, "files_missing", json_integer((json_int_t)view->without_files_count));
	output_text(", %zu changed, %zu without files\n", changed, view->without_files_count);
	json_t *root = json_pack("{s:s, s:s, s:o, s:o}", "schema", "rehearse.migrate-status/1", "target",
				 workflow_session_place(site->session), "migrations", list, "counts", counts);
	output_json(root);
	json_decref(root);
}

int migrate_status(const struct migrate_call *call, struct error *err)
{
	struct migrate_site site;
	(void)call;
	int rc = migrate_site_open(&site, true, err);
	if (rc == 0)
		show_status(&site);
	migrate_site_release(&site);
	return rc;
}

static int skip(const struct migrate_site *site, size_t migration, struct error *err)
{
	if (migrate_args.undo)
		return workflow_mark_undone(site->session, &site->view, migration, err);
	return workflow_mark_skipped(site->session, &site->view, migration, migrate_args.reason, err);
}

static int check_skip(struct error *err)
{
	if (migrate_args.undo)
		return migrate_args.reason ? error_set(err, ERR_USAGE, "--undo takes no --reason") : 0;
	if (!migrate_args.reason)
		return error_set(err, ERR_USAGE, "skip: --reason TEXT is missing: who or what did it instead");
	int rc = workflow_title_check(migrate_args.reason, err);
	return rc ? error_context(err, "--reason") : 0;
}

int migrate_skip(const struct migrate_call *call, struct error *err)
{
	struct migrate_site site = {0};
	size_t migration = WORKFLOW_NONE;
	int rc = check_skip(err);
	if (rc == 0)
		rc = migrate_site_open(&site, false, err);
	if (rc == 0)
		rc = workflow_folder_lookup(&site.folder, call->words[0], &migration, err);
	if (rc == 0)
		rc = skip(&site, migration, err);
	if (rc == 0) {
		const struct workflow_meta *meta = &site.folder.migrations[migration].meta;
		json_t *root = json_pack("{s:s, s:s, s:s, s:b}", "schema", "rehearse.migrate-skip/1", "id", meta->id,
					 "target", workflow_session_place(site.session), "undone", migrate_args.undo);
		output_text("%s  %s: %s\n", meta->id, meta->title,
			    migrate_args.undo ? "pending again" : "marked as done");
		output_json(root);
		json_decref(root);
	}
	migrate_site_release(&site);
	return rc;
}

/* In words what would change, and as lists of ids. */
static json_t *show_reset(const struct migrate_site *site, const struct workflow_reset *reset)
{
	json_t *marked = json_array(), *forgotten = json_array();
	for (size_t i = 0; i < site->folder.count; i++) {
		const struct workflow_meta *meta = &site->folder.migrations[i].meta;
		if (reset->mark[i]) {
			output_text("applied  %s  %s\n", meta->id, meta->title);
			(void)json_array_append_new(marked, json_string(meta->id));
		} else if (reset->forget[i]) {
			output_text("pending  %s  %s\n", meta->id, meta->title);
			(void)json_array_append_new(forgotten, json_string(meta->id));
		}
	}
	for (size_t i = 0; i < reset->forget_row_count; i++) {
		output_text("removed  %s  %s, which has no files\n", reset->forget_rows[i]->id,
			    reset->forget_rows[i]->title);
		(void)json_array_append_new(forgotten, json_string(reset->forget_rows[i]->id));
	}
	return json_pack("{s:s, s:s, s:o, s:o}", "schema", "rehearse.migrate-reset/1", "target",
			 workflow_session_place(site->session), "applied", marked, "pending", forgotten);
}

static int confirm(const struct migrate_call *call, struct error *err)
{
	if (migrate_args.yes)
		return 0;
	if (call->call->quiet || !migrate_can_ask())
		return error_set(err, ERR_USAGE, "reset: --yes is needed where nobody can be asked");
	if (migrate_ask("change the history so, without running any SQL? [y]es, [n]o", "yn") == 'y')
		return 0;
	return error_set(err, ERR_INTERRUPTED, "nothing was changed");
}

static int reset_to(const struct migrate_call *call, const struct migrate_site *site, size_t to, struct error *err)
{
	struct workflow_reset reset;
	workflow_reset_plan(&site->view, to, &reset);
	json_t *root = show_reset(site, &reset);
	int rc = 0;
	if (reset.mark_count + reset.forget_count > 0)
		rc = confirm(call, err);
	if (rc == 0)
		rc = workflow_reset_apply(site->session, &site->view, &reset, err);
	if (rc == 0) {
		output_text("the history is changed: %zu marked as applied, %zu taken out; no SQL was run\n",
			    reset.mark_count, reset.forget_count);
		output_json(root);
	}
	json_decref(root);
	workflow_reset_release(&reset);
	return rc;
}

int migrate_reset(const struct migrate_call *call, struct error *err)
{
	struct migrate_site site = {0};
	size_t to = WORKFLOW_NONE;
	if (!migrate_args.to)
		return error_set(err, ERR_USAGE, "reset: --to ID is missing, or --to none");
	int rc = migrate_site_open(&site, false, err);
	if (rc == 0 && strcmp(migrate_args.to, "none") != 0) {
		rc = workflow_folder_lookup(&site.folder, migrate_args.to, &to, err);
		if (rc)
			(void)error_context(err, "--to");
	}
	if (rc == 0)
		rc = reset_to(call, &site, to, err);
	migrate_site_release(&site);
	return rc;
}
