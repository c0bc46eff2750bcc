/* Which migrations `up` and `down` run, in which batches, and what forbids it: see workflow_view.h. */
#include "mem.h"
#include "strbuf.h"
#include "workflow_view.h"

#define NAMED_MAX 5 /* ids in a message */

static const char *id_of(const struct workflow_view *view, size_t i)
{
	return view->folder->migrations[i].meta.id;
}

static void choice_init(const struct workflow_view *view, struct workflow_choice *choice)
{
	size_t count = view->folder->count;
	choice->wanted = mem_zalloc(count + 1, sizeof(*choice->wanted));
	choice->hold = mem_zalloc(count + 1, sizeof(*choice->hold));
	choice->batch = mem_zalloc(count + 1, sizeof(*choice->batch));
	choice->wanted_count = choice->batch_count = 0;
}

void workflow_choice_release(struct workflow_choice *choice)
{
	free(choice->wanted);
	free(choice->hold);
	free(choice->batch);
	memset(choice, 0, sizeof(*choice));
}

static int report_half(const struct workflow_record *record, struct error *err)
{
	bool up = record->state == WORKFLOW_HALF_UP;
	char at[40] = "";
	if (record->statement > 0)
		(void)snprintf(at, sizeof(at), " at statement %lld", (long long)record->statement);
	return error_set(
		err, ERR_DATA,
		"%s stopped half-way %s%s (%s); put it right by hand, then say 'migrate skip %s --reason TEXT' "
		"if all of it is there now, or 'migrate skip %s --undo' if nothing of it is",
		record->id, up ? "up" : "down", at, record->reason ? record->reason : "its runner ended", record->id,
		record->id);
}

/* Nothing runs on a database of which it is not known what it has. */
static int check_halves(const struct workflow_view *view, struct error *err)
{
	for (size_t i = 0; i < view->history->count; i++) {
		const struct workflow_record *record = view->history->all[i];
		if (record->state == WORKFLOW_HALF_UP || record->state == WORKFLOW_HALF_DOWN)
			return report_half(record, err);
	}
	return 0;
}

static int check_files(const struct workflow_view *view, const struct workflow_up_request *request, struct error *err)
{
	if (view->without_files_count > 0 && !request->skip_missing) {
		struct strbuf ids;
		strbuf_init(&ids, 400);
		for (size_t i = 0; i < view->without_files_count && i < NAMED_MAX; i++)
			strbuf_addf(&ids, "%s%s", i ? ", " : "", view->without_files[i]->id);
		if (view->without_files_count > NAMED_MAX)
			strbuf_add_str(&ids, ", …");
		(void)error_set(
			err, ERR_DATA,
			"%s: the database has %zu migration%s whose files are not there (%s); get them, or give "
			"--skip-missing",
			view->folder->path, view->without_files_count, view->without_files_count == 1 ? "" : "s",
			ids.data);
		strbuf_release(&ids);
		return -err->code;
	}
	for (size_t i = 0; i < view->folder->count && !request->allow_changed; i++) {
		if (view->changed[i])
			return error_set(err, ERR_DATA,
					 "%s: was changed since %s was applied; put it back, or give --allow-changed",
					 view->folder->migrations[i].up_path, id_of(view, i));
	}
	return 0;
}

static int choose_only(const struct workflow_view *view, size_t only, struct workflow_choice *choice, struct error *err)
{
	const struct workflow_edges *needs = &view->graph.dependencies;
	if (workflow_view_is_done(view, only))
		return error_set(err, ERR_USAGE, "%s is %s already", id_of(view, only),
				 workflow_status_name(view->status[only]));
	for (size_t e = needs->begin[only]; e < needs->begin[only + 1]; e++) {
		if (!workflow_view_is_done(view, needs->nodes[e]))
			return error_set(err, ERR_USAGE, "%s needs %s, which is not applied; --to runs both",
					 id_of(view, only), id_of(view, needs->nodes[e]));
	}
	choice->wanted[only] = true;
	return 0;
}

/* To leave out what is there already is a misunderstanding. */
static int check_skips(const struct workflow_view *view, const struct workflow_up_request *request, struct error *err)
{
	for (size_t s = 0; s < request->skip_count; s++) {
		if (workflow_view_is_done(view, request->skip[s]))
			return error_set(err, ERR_USAGE, "--skip: %s is %s already", id_of(view, request->skip[s]),
					 workflow_status_name(view->status[request->skip[s]]));
	}
	return 0;
}

static bool is_skipped(const struct workflow_up_request *request, size_t i)
{
	for (size_t s = 0; s < request->skip_count; s++) {
		if (request->skip[s] == i)
			return true;
	}
	return false;
}

/* All that is pending in the range, but for what is left to others and what needs that. */
static void choose_range(const struct workflow_view *view, const struct workflow_up_request *request,
			 struct workflow_choice *choice)
{
	size_t count = view->folder->count;
	bool *range = mem_zalloc(count + 1, sizeof(*range)), *held = mem_zalloc(count + 1, sizeof(*held));
	for (size_t i = 0; i < count; i++)
		range[i] = request->to == WORKFLOW_NONE || request->to == i;
	if (request->to != WORKFLOW_NONE)
		workflow_graph_mark_dependencies(&view->graph, range);
	for (size_t i = 0; i < count; i++) {
		bool left = view->status[i] == WORKFLOW_IS_LEFT ||
			    (view->status[i] == WORKFLOW_IS_PENDING && is_skipped(request, i));
		choice->hold[i] = left && range[i] ? WORKFLOW_LEFT : WORKFLOW_RUNS;
		held[i] = left;
	}
	workflow_graph_mark_dependants(&view->graph, held);
	for (size_t i = 0; i < count; i++) {
		bool pending = range[i] && view->status[i] == WORKFLOW_IS_PENDING;
		if (pending && held[i] && choice->hold[i] == WORKFLOW_RUNS)
			choice->hold[i] = WORKFLOW_HELD;
		choice->wanted[i] = pending && !held[i];
	}
	free(held);
	free(range);
}

static int check_written(const struct workflow_view *view, const struct workflow_choice *choice, struct error *err)
{
	for (size_t i = 0; i < view->folder->count; i++) {
		const struct workflow_migration *migration = &view->folder->migrations[i];
		if (choice->wanted[i] && migration->up.statement_count == 0)
			return error_set(err, ERR_DATA, "%s: holds no SQL statement yet", migration->up_path);
	}
	return 0;
}

static void count_batches(const struct workflow_view *view, struct workflow_choice *choice)
{
	choice->batch_count = workflow_graph_batches(&view->graph, choice->wanted, choice->batch);
	for (size_t i = 0; i < view->folder->count; i++)
		choice->wanted_count += choice->wanted[i];
}

int workflow_choose_up(const struct workflow_view *view, const struct workflow_up_request *request,
		       struct workflow_choice *choice, struct error *err)
{
	choice_init(view, choice);
	int rc = view->history ? check_halves(view, err) : 0;
	if (rc == 0)
		rc = check_files(view, request, err);
	if (rc == 0)
		rc = check_skips(view, request, err);
	if (rc)
		return rc;
	if (request->only != WORKFLOW_NONE)
		rc = choose_only(view, request->only, choice, err);
	else
		choose_range(view, request, choice);
	if (rc == 0)
		rc = check_written(view, choice, err);
	if (rc == 0)
		count_batches(view, choice);
	return rc;
}

/* The rows that were written last, as far as they are ours to take back. */
static int mark_last(const struct workflow_view *view, size_t steps, bool *wanted, struct error *err)
{
	for (size_t i = view->history->count; i-- > 0 && steps > 0; steps--) {
		const struct workflow_record *record = view->history->all[i];
		size_t at = workflow_folder_find(view->folder, record->id);
		if (at == WORKFLOW_NONE)
			return error_set(err, ERR_DATA,
					 "%s: has no files of %s (\"%s\"), which is next to be taken back",
					 view->folder->path, record->id, record->title);
		wanted[at] = true;
	}
	return 0;
}

/* A migration that is to be taken back, and may be. */
static int check_down(const struct workflow_view *view, size_t i, struct error *err)
{
	const struct workflow_migration *migration = &view->folder->migrations[i];
	if (view->status[i] == WORKFLOW_IS_SKIPPED)
		return error_set(
			err, ERR_DATA,
			"%s was not run by us (skipped: %s); undo it by hand, then say 'migrate skip %s --undo'",
			id_of(view, i), view->records[i]->reason ? view->records[i]->reason : "no reason",
			id_of(view, i));
	if (!migration->meta.reversible)
		return error_set(err, ERR_DATA, "%s: there is no way back: its \"reversible\" is false",
				 migration->folder);
	if (migration->down.statement_count == 0)
		return error_set(err, ERR_DATA, "%s: holds no statement: there is no way back", migration->down_path);
	return 0;
}

/* All that needs what is wanted is to go first, so it must be wanted too. */
static int check_dependants(const struct workflow_view *view, const bool *wanted, struct error *err)
{
	const struct workflow_edges *needed = &view->graph.dependants;
	for (size_t i = 0; i < view->folder->count; i++) {
		for (size_t e = needed->begin[i]; wanted[i] && e < needed->begin[i + 1]; e++) {
			size_t dependant = needed->nodes[e];
			if (!wanted[dependant] && workflow_view_is_done(view, dependant))
				return error_set(err, ERR_DATA,
						 "%s was applied later than %s, which needs it; say 'migrate down %s'",
						 id_of(view, i), id_of(view, dependant), id_of(view, i));
		}
	}
	return 0;
}

/* What a migration without files needs is not known: it may be what is to be taken back. */
static int check_later(const struct workflow_view *view, const bool *wanted, struct error *err)
{
	for (size_t i = 0; i < view->folder->count; i++) {
		for (size_t m = 0; wanted[i] && m < view->without_files_count; m++) {
			const struct workflow_record *later = view->without_files[m];
			if (later->applied_wall_us >= view->records[i]->applied_wall_us)
				return error_set(
					err, ERR_DATA,
					"%s: has no files of %s (\"%s\"), which was applied after %s and may need "
					"it; get them, or give --skip-missing",
					view->folder->path, later->id, later->title, id_of(view, i));
		}
	}
	return 0;
}

int workflow_choose_down(const struct workflow_view *view, size_t migration, size_t steps, bool skip_missing,
			 struct workflow_choice *choice, struct error *err)
{
	choice_init(view, choice);
	int rc = check_halves(view, err);
	if (rc == 0 && migration != WORKFLOW_NONE) {
		if (!workflow_view_is_done(view, migration))
			rc = error_set(err, ERR_USAGE, "%s is not applied", id_of(view, migration));
		choice->wanted[migration] = true;
		workflow_graph_mark_dependants(&view->graph, choice->wanted);
	} else if (rc == 0) {
		rc = mark_last(view, steps, choice->wanted, err);
	}
	for (size_t i = 0; i < view->folder->count && rc == 0; i++) {
		choice->wanted[i] = choice->wanted[i] && workflow_view_is_done(view, i);
		if (choice->wanted[i])
			rc = check_down(view, i, err);
	}
	if (rc == 0)
		rc = check_dependants(view, choice->wanted, err);
	if (rc == 0 && !skip_missing)
		rc = check_later(view, choice->wanted, err);
	if (rc)
		return rc;
	count_batches(view, choice);
	for (size_t i = 0; i < view->folder->count; i++) {
		if (choice->wanted[i])
			choice->batch[i] = choice->batch_count - 1 - choice->batch[i];
	}
	return 0;
}
