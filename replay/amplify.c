/* More load than was recorded: see amplify.h. Copies wait in a heap, by time, until the original's time has caught up.
 */
#include "amplify.h"

#include "mem.h"
#include "sql_read_only.h"
#include "strbuf.h"

#define ITEM_MAX ((size_t)64 * 1024 * 1024)

/* A copy's item that is not written yet. */
struct waiting {
	int64_t time_ns;
	uint64_t number; /* order of arrival: a session's items keep theirs at equal times */
	size_t len;
	char *bytes;
};

struct amplifier {
	const struct replay_file *file;
	const struct amplify_options *options;
	struct amplify_counts *counts;
	struct replay_writer *writer;
	struct arena arena;
	struct waiting *heap; /* smallest time on top */
	size_t used;
	size_t capacity;
	uint64_t next_number;
	unsigned char *read_only; /* by text: 0 not asked yet, 1 yes, 2 no */
	struct strbuf bytes;
};

static bool before(const struct waiting *a, const struct waiting *b)
{
	return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->number < b->number;
}

static void swap(struct waiting *a, struct waiting *b)
{
	struct waiting saved = *a;
	*a = *b;
	*b = saved;
}

static void push(struct amplifier *a, struct waiting waiting)
{
	MEM_GROW(a->heap, a->used, a->capacity);
	size_t i = a->used++;
	a->heap[i] = waiting;
	while (i > 0 && before(&a->heap[i], &a->heap[(i - 1) / 2])) {
		swap(&a->heap[i], &a->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
}

static struct waiting pop(struct amplifier *a)
{
	struct waiting top = a->heap[0];
	a->heap[0] = a->heap[--a->used];
	for (size_t i = 0;;) {
		size_t least = i;
		for (size_t child = 2 * i + 1; child <= 2 * i + 2; child++) {
			if (child < a->used && before(&a->heap[child], &a->heap[least]))
				least = child;
		}
		if (least == i)
			return top;
		swap(&a->heap[i], &a->heap[least]);
		i = least;
	}
}

/* splitmix64 (Steele, Lea, Flood 2014): the jitter depends on seed, session and copy alone. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static int64_t jitter_ns(const struct amplifier *a, uint32_t session, uint32_t copy)
{
	if (a->options->jitter_ns <= 0)
		return 0;
	uint64_t random = mix(mix(a->options->seed ^ session) ^ copy);
	return (int64_t)(random % (uint64_t)a->options->jitter_ns);
}

static bool may_copy(struct amplifier *a, const struct item *item)
{
	if (a->options->writes || item->text == ITEM_NO_TEXT)
		return true;
	if (item->text != REPLAY_TEXT_WHOLE && a->read_only[item->text])
		return a->read_only[item->text] == 1;
	struct strbuf sql;
	strbuf_init(&sql, ITEM_MAX);
	replay_item_sql(a->file, item, &sql);
	bool harmless = sql_is_read_only(SQL_POSTGRESQL, (struct span){sql.data, sql.len});
	strbuf_release(&sql);
	/* Templates differ in literals alone, which decide nothing here. */
	a->read_only[item->text] = harmless ? 1 : 2;
	return harmless;
}

static int write_copy(struct amplifier *a, struct waiting *waiting, struct error *err)
{
	struct byte_reader r;
	struct item item;
	arena_clear(&a->arena);
	byte_reader_init(&r, waiting->bytes, waiting->len);
	int rc = item_decode(&r, &a->arena, &item) ? replay_writer_add_item(a->writer, &item, err)
						   : error_set(err, ERR_INTERNAL, "a copied item cannot be read back");
	free(waiting->bytes);
	return rc;
}

static int write_until(struct amplifier *a, int64_t time_ns, struct error *err)
{
	int rc = 0;
	while (rc == 0 && a->used > 0 && a->heap[0].time_ns <= time_ns) {
		struct waiting next = pop(a);
		rc = write_copy(a, &next, err);
	}
	return rc;
}

static void copy_item(struct amplifier *a, const struct item *item)
{
	uint32_t sessions = replay_file_session_count(a->file);
	for (uint32_t copy = 1; copy < a->options->times; copy++) {
		if (!may_copy(a, item)) {
			a->counts->left_out++;
			continue;
		}
		struct item copied = *item;
		copied.session = item->session + copy * sessions;
		copied.time_ns += jitter_ns(a, item->session, copy);
		strbuf_clear(&a->bytes);
		item_encode(&copied, &a->bytes);
		struct waiting waiting = {.time_ns = copied.time_ns, .number = a->next_number++, .len = a->bytes.len};
		waiting.bytes = mem_strndup(a->bytes.data, a->bytes.len);
		push(a, waiting);
		a->counts->copied++;
	}
}

static void write_tables(struct amplifier *a)
{
	for (uint32_t copy = 0; copy < a->options->times; copy++) {
		for (uint32_t i = 0; i < replay_file_session_count(a->file); i++)
			(void)replay_writer_add_session(a->writer, replay_file_session(a->file, i));
	}
	for (uint32_t i = 1; i < replay_file_text_count(a->file); i++)
		(void)replay_writer_add_text(a->writer, replay_file_text(a->file, i));
	for (uint32_t i = 0; i < replay_file_source_count(a->file); i++)
		(void)replay_writer_add_source(a->writer, replay_file_source(a->file, i));
}

static int write_items(struct amplifier *a, struct error *err)
{
	struct replay_batch batch;
	int64_t start_ns = replay_file_start_wall_ns(a->file);
	int rc = 0;
	replay_batch_init(&batch);
	for (uint32_t b = 0; rc == 0 && b < replay_file_batch_count(a->file); b++) {
		rc = replay_file_read_batch(a->file, b, &batch, err);
		for (uint32_t i = 0; rc == 0 && i < batch.count; i++) {
			struct item *item = &batch.items[i];
			item->time_ns += start_ns;
			rc = write_until(a, item->time_ns, err);
			if (rc == 0)
				rc = replay_writer_add_item(a->writer, item, err);
			if (rc == 0)
				copy_item(a, item);
		}
	}
	replay_batch_release(&batch);
	return rc < 0 ? rc : write_until(a, INT64_MAX, err);
}

int amplify_write(const struct replay_file *file, const struct amplify_options *options, const char *path,
		  struct amplify_counts *counts, struct error *err)
{
	struct amplifier a = {.file = file, .options = options, .counts = counts};
	if ((uint64_t)options->times * replay_file_session_count(file) >= UINT32_MAX)
		return error_set(err, ERR_USAGE, "%u times %u sessions are too many", options->times,
				 replay_file_session_count(file));
	int rc = replay_writer_open(path, &a.writer, err);
	if (rc < 0)
		return rc;
	memset(counts, 0, sizeof(*counts));
	arena_init(&a.arena, (size_t)64 * 1024);
	strbuf_init(&a.bytes, ITEM_MAX);
	a.read_only = mem_zalloc(replay_file_text_count(file), 1);
	write_tables(&a);
	rc = write_items(&a, err);
	if (rc == 0)
		rc = replay_writer_commit(a.writer, replay_file_capture(file), err);
	else
		replay_writer_abort(a.writer);
	while (a.used > 0)
		free(a.heap[--a.used].bytes);
	free(a.heap);
	free(a.read_only);
	strbuf_release(&a.bytes);
	arena_release(&a.arena);
	return rc;
}
