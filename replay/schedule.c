/* When each item of a replay file is due in a run: see schedule.h. */
#include "schedule.h"

#include "mem.h"
#include "sql_fingerprint.h"
#include "stop_flag.h"
#include "strbuf.h"

static bool inside(const struct schedule *schedule, int64_t time_ns)
{
	const struct schedule_options *o = &schedule->options;
	return time_ns >= o->start_at_ns && (o->stop_at_ns == 0 || time_ns < o->stop_at_ns);
}

/* How much earlier than recorded an item of that time is due, because idle times were cut. */
static int64_t shift_at(const struct schedule *schedule, int64_t time_ns)
{
	size_t low = 0;
	size_t high = schedule->cut_count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (schedule->cuts[middle].time_ns <= time_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 ? schedule->cuts[low - 1].shift_ns : 0;
}

int64_t schedule_map_ns(const struct schedule *schedule, int64_t time_ns)
{
	const struct schedule_options *o = &schedule->options;
	if (o->speed <= 0)
		return 0;
	return (int64_t)((double)(time_ns - o->start_at_ns - shift_at(schedule, time_ns)) / o->speed);
}

enum run_skip_reason schedule_due(const struct schedule *schedule, const struct item *item, int64_t *due_ns)
{
	int64_t time_ns = item->time_ns;
	if (item->kind == ITEM_CONNECT && time_ns < schedule->options.start_at_ns)
		time_ns = schedule->options.start_at_ns;
	if (schedule->session_parts[item->session] == SESSION_TOO_MANY)
		return RUN_SKIP_MAX_SESSIONS;
	if (schedule->session_parts[item->session] == SESSION_OUTSIDE || !inside(schedule, time_ns))
		return RUN_SKIP_OUTSIDE;
	*due_ns = schedule_map_ns(schedule, time_ns);
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
		if (rc == 0 && stop_flag_is_set(cancelled))
			rc = error_set(err, ERR_INTERRUPTED, "interrupted");
	}
	replay_batch_release(&batch);
	return rc;
}

struct mark_pass {
	struct schedule *schedule;
	int64_t last_ns; /* the item before, inside the part */
};

/* Which sessions take part: one that closed before the part, or opens after it, does not. And where nothing happens. */
static int mark_item(void *context, const struct item *item, struct error *err)
{
	struct mark_pass *pass = context;
	struct schedule *schedule = pass->schedule;
	int64_t keep_ns = schedule->options.skip_idle_ns;
	(void)err;
	if (!inside(schedule, item->time_ns))
		return 0;
	schedule->session_parts[item->session] = SESSION_INSIDE;
	int64_t idle_ns = item->time_ns - pass->last_ns;
	if (keep_ns > 0 && idle_ns > keep_ns) {
		int64_t before_ns = schedule->cut_count ? schedule->cuts[schedule->cut_count - 1].shift_ns : 0;
		MEM_GROW(schedule->cuts, schedule->cut_count, schedule->cut_capacity);
		schedule->cuts[schedule->cut_count++] =
			(struct schedule_cut){.time_ns = item->time_ns, .shift_ns = before_ns + idle_ns - keep_ns};
	}
	pass->last_ns = item->time_ns;
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
	uint32_t max = schedule->options.max_sessions;
	if (item->kind == ITEM_CONNECT && max > 0 && pass->open >= max &&
	    schedule->session_parts[item->session] == SESSION_INSIDE)
		schedule->session_parts[item->session] = SESSION_TOO_MANY;
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
	out->session_parts = mem_zalloc(replay_file_session_count(file), 1);
	struct mark_pass pass = {.schedule = out, .last_ns = options->start_at_ns};
	int rc = each_item(file, cancelled, mark_item, &pass, err);
	if (rc == 0)
		rc = write_index(file, index_path, cancelled, out, err);
	if (rc < 0)
		schedule_release(out);
	return rc;
}

void schedule_release(struct schedule *schedule)
{
	free(schedule->session_parts);
	free(schedule->cuts);
	schedule->session_parts = NULL;
	schedule->cuts = NULL;
}
