/* When each item of a replay file is due in a run: see schedule.h. */
#include "schedule.h"

#include "mem.h"
#include "sql_fingerprint.h"
#include "strbuf.h"

static bool inside(const struct schedule *schedule, int64_t time_ns)
{
	const struct schedule_options *o = &schedule->options;
	return time_ns >= o->start_at_ns && (o->stop_at_ns == 0 || time_ns < o->stop_at_ns);
}

enum run_skip_reason schedule_due(const struct schedule *schedule, const struct item *item, int64_t *due_ns)
{
	int64_t time_ns = item->time_ns;
	if (item->kind == ITEM_CONNECT && time_ns < schedule->options.start_at_ns)
		time_ns = schedule->options.start_at_ns;
	if (!schedule->active[item->session] || !inside(schedule, time_ns))
		return RUN_SKIP_OUTSIDE;
	*due_ns = (int64_t)((double)(time_ns - schedule->options.start_at_ns) / schedule->options.speed);
	return RUN_SKIP_NONE;
}

typedef int (*item_fn)(void *context, const struct item *item, struct error *err);

static int each_item(const struct replay_file *file, const volatile bool *cancelled, item_fn fn, void *context,
		     struct error *err)
{
	struct replay_batch batch;
	int rc = 0;
	replay_batch_init(&batch);
	for (uint32_t b = 0; rc == 0 && b < replay_file_batch_count(file); b++) {
		rc = replay_file_read_batch(file, b, &batch, err);
		for (uint32_t i = 0; rc == 0 && i < batch.count; i++)
			rc = fn(context, &batch.items[i], err);
		if (rc == 0 && cancelled && *cancelled)
			rc = error_set(err, ERR_INTERRUPTED, "interrupted");
	}
	replay_batch_release(&batch);
	return rc;
}

/* A session takes part when anything of it lies inside; one that closed before the part, or opens after it, does not.
 */
static int mark_active(void *context, const struct item *item, struct error *err)
{
	struct schedule *schedule = context;
	(void)err;
	if (inside(schedule, item->time_ns))
		schedule->active[item->session] = 1;
	return 0;
}

struct index_pass {
	const struct replay_file *file;
	struct schedule *schedule;
	struct item_index_writer *writer;
	struct strbuf normalized;
	uint32_t open;
	uint32_t *rows; /* fingerprint row by text, UINT32_MAX unknown: most items repeat a text */
};

static uint32_t fingerprint_row(struct index_pass *pass, const struct item *item)
{
	if (item->text == ITEM_NO_TEXT)
		return ITEM_NO_TEXT;
	if (item->text != REPLAY_TEXT_WHOLE && pass->rows[item->text] != UINT32_MAX)
		return pass->rows[item->text];
	strbuf_clear(&pass->normalized);
	uint64_t hash = replay_item_fingerprint(pass->file, item, &pass->normalized);
	uint32_t row = item_index_writer_fingerprint(pass->writer, hash,
						     (struct span){pass->normalized.data, pass->normalized.len});
	pass->rows[item->text] = row;
	return row;
}

static int index_item(void *context, const struct item *item, struct error *err)
{
	struct index_pass *pass = context;
	struct schedule *schedule = pass->schedule;
	struct item_index_row row = {
		.capture_duration_ns = item->duration_ns,
		.session = item->session,
		.fingerprint = fingerprint_row(pass, item),
		.capture_sqlstate = item->sqlstate,
		.source_file = item->source_file,
		.source_line = item->source_line,
		.kind = (uint8_t)item->kind,
		.flags = item->flags,
	};
	if (schedule_due(schedule, item, &row.due_ns) == RUN_SKIP_NONE) {
		schedule->due_count++;
		if (row.due_ns > schedule->last_due_ns)
			schedule->last_due_ns = row.due_ns;
		if (item->kind == ITEM_CONNECT) {
			schedule->sessions++;
			if (++pass->open > schedule->max_open)
				schedule->max_open = pass->open;
		} else if (item->kind == ITEM_DISCONNECT && pass->open > 0) {
			pass->open--;
		}
	}
	return item_index_writer_add(pass->writer, &row, err);
}

static int write_index(const struct replay_file *file, const char *path, const volatile bool *cancelled,
		       struct schedule *schedule, struct error *err)
{
	struct index_pass pass = {.file = file, .schedule = schedule};
	int rc = item_index_writer_open(path, &pass.writer, err);
	if (rc < 0)
		return rc;
	uint32_t texts = replay_file_text_count(file);
	pass.rows = mem_alloc(texts * sizeof(*pass.rows));
	memset(pass.rows, 0xff, texts * sizeof(*pass.rows));
	strbuf_init(&pass.normalized, (size_t)SQL_FINGERPRINT_TEXT_MAX * 2);
	rc = each_item(file, cancelled, index_item, &pass, err);
	if (rc == 0)
		rc = item_index_writer_commit(pass.writer, file, err);
	else
		item_index_writer_abort(pass.writer);
	strbuf_release(&pass.normalized);
	free(pass.rows);
	return rc;
}

int schedule_prepare(const struct replay_file *file, const struct schedule_options *options, const char *index_path,
		     const volatile bool *cancelled, struct schedule *out, struct error *err)
{
	memset(out, 0, sizeof(*out));
	out->options = *options;
	out->item_count = replay_file_item_count(file);
	out->active = mem_zalloc(replay_file_session_count(file), 1);
	int rc = each_item(file, cancelled, mark_active, out, err);
	if (rc == 0)
		rc = write_index(file, index_path, cancelled, out, err);
	if (rc < 0)
		schedule_release(out);
	return rc;
}

void schedule_release(struct schedule *schedule)
{
	free(schedule->active);
	schedule->active = NULL;
}
