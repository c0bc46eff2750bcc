/* The folder and the history side by side: see workflow_view.h. */
#include "workflow_view.h"

#include "mem.h"

static const char *const status_names[] = {"pending", "left", "applied", "skipped", "half up", "half down"};

const char *workflow_status_name(enum workflow_status status)
{
	return status_names[status];
}

static bool is_done_elsewhere(void *context, const char *id)
{
	const struct workflow_record *record = context ? workflow_history_find(context, id) : NULL;
	return record && (record->state == WORKFLOW_APPLIED || record->state == WORKFLOW_SKIPPED);
}

static enum workflow_status status_of(const struct workflow_migration *migration, const struct workflow_record *record)
{
	if (!record)
		return migration->meta.skip ? WORKFLOW_IS_LEFT : WORKFLOW_IS_PENDING;
	switch (record->state) {
	case WORKFLOW_SKIPPED:
		return WORKFLOW_IS_SKIPPED;
	case WORKFLOW_HALF_UP:
		return WORKFLOW_IS_HALF_UP;
	case WORKFLOW_HALF_DOWN:
		return WORKFLOW_IS_HALF_DOWN;
	case WORKFLOW_APPLIED:
	default:
		return WORKFLOW_IS_APPLIED;
	}
}

int workflow_view_init(struct workflow_view *view, const struct workflow_folder *folder,
		       const struct workflow_history *history, struct error *err)
{
	size_t count = folder->count;
	memset(view, 0, sizeof(*view));
	view->folder = folder;
	view->history = history;
	view->records = mem_zalloc(count + 1, sizeof(*view->records));
	view->status = mem_zalloc(count + 1, sizeof(*view->status));
	view->changed = mem_zalloc(count + 1, sizeof(*view->changed));
	for (size_t i = 0; i < count; i++) {
		const struct workflow_migration *migration = &folder->migrations[i];
		const struct workflow_record *record =
			history ? workflow_history_find(history, migration->meta.id) : NULL;
		view->records[i] = record;
		view->status[i] = status_of(migration, record);
		view->changed[i] = record && view->status[i] == WORKFLOW_IS_APPLIED &&
				   strcmp(record->checksum, migration->checksum) != 0;
	}
	view->without_files = mem_zalloc((history ? history->count : 0) + 1, sizeof(*view->without_files));
	for (size_t i = 0; history && i < history->count; i++) {
		if (workflow_folder_find(folder, history->all[i]->id) == WORKFLOW_NONE)
			view->without_files[view->without_files_count++] = history->all[i];
	}
	return workflow_folder_graph(folder, is_done_elsewhere, (void *)(uintptr_t)history, &view->graph, err);
}

void workflow_view_release(struct workflow_view *view)
{
	workflow_graph_release(&view->graph);
	free(view->records);
	free(view->status);
	free(view->changed);
	free(view->without_files);
	memset(view, 0, sizeof(*view));
}

bool workflow_view_is_done(const struct workflow_view *view, size_t migration)
{
	return view->status[migration] == WORKFLOW_IS_APPLIED || view->status[migration] == WORKFLOW_IS_SKIPPED;
}
