/*
 * External merge sort of items: see item_sorter.h. A log is nearly sorted already, so a run is looked at first and
 * sorted only when it needs it. An item's body is bytes that nobody here looks into. The merge reads each run through a
 * window of its own; with 24 MB runs a log of 100 GB has a few hundred.
 */
#include "item_sorter.h"

#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define WINDOW_SIZE ((size_t)64 * 1024)
#define ITEM_MAX    ((size_t)64 * 1024 * 1024)
#define WRITE_SIZE  ((size_t)256 * 1024)
#define NEAR	    64
#define MOVED_MAX   ((size_t)16 * 1024 * 1024) /* keys moved to make room, in one run */

struct sort_key {
	int64_t time_ns;
	uint64_t number;
	size_t offset; /* of the head in the buffer */
};

struct sort_run {
	int64_t pos; /* in the file: what the window does not hold yet */
	int64_t end;
	char *window;
	size_t capacity;
	size_t from;
	size_t len;
	struct sort_head head; /* of the first item in the window */
};

struct item_sorter {
	char *beside;
	size_t memory;
	struct strbuf buffer; /* heads and encoded items */
	struct sort_key *keys;
	size_t key_count;
	size_t key_capacity;
	bool sorted;  /* the keys so far are in order */
	size_t moved; /* keys moved to make room for others */
	int fd;
	int64_t file_len;
	struct sort_run *runs;
	size_t run_count;
	size_t run_capacity;
	size_t *heap; /* indexes of runs, the smallest first; those at their end are out */
	size_t heap_len;
	bool merging;
	bool given;	 /* the first run's item was given out */
	size_t next_key; /* when nothing was spilled */
};

struct item_sorter *item_sorter_new(const char *beside, size_t memory)
{
	struct item_sorter *sorter = mem_zalloc(1, sizeof(*sorter));
	sorter->beside = mem_strdup(beside);
	sorter->memory = memory;
	strbuf_init(&sorter->buffer, memory + ITEM_MAX);
	sorter->sorted = true;
	sorter->fd = -1;
	return sorter;
}

void item_sorter_free(struct item_sorter *sorter)
{
	if (!sorter)
		return;
	for (size_t i = 0; i < sorter->run_count; i++)
		free(sorter->runs[i].window);
	if (sorter->fd >= 0)
		(void)close(sorter->fd);
	free(sorter->runs);
	free(sorter->heap);
	free(sorter->keys);
	strbuf_release(&sorter->buffer);
	free(sorter->beside);
	free(sorter);
}

static inline bool key_after(const struct sort_key *a, const struct sort_key *b)
{
	return a->time_ns != b->time_ns ? a->time_ns > b->time_ns : a->number > b->number;
}

static int key_compare(const void *left, const void *right)
{
	return key_after(left, right) - key_after(right, left);
}

static void sort_keys(struct item_sorter *sorter)
{
	if (!sorter->sorted)
		qsort(sorter->keys, sorter->key_count, sizeof(*sorter->keys), key_compare);
	sorter->sorted = true;
}

static int open_file(struct item_sorter *sorter, struct error *err)
{
	char *name = mem_printf("%s.XXXXXX.tmp", sorter->beside);
	sorter->fd = mkostemps(name, 4, O_CLOEXEC);
	int rc = sorter->fd < 0 ? error_set_errno(err, ERR_INTERNAL, "%s: cannot write a temporary file beside it",
						  sorter->beside)
				: 0;
	if (rc == 0)
		(void)unlink(name);
	free(name);
	return rc;
}

static int write_all(struct item_sorter *sorter, const char *p, size_t len, struct error *err)
{
	while (len > 0) {
		ssize_t done = write(sorter->fd, p, len);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return error_set_errno(err, ERR_INTERNAL, "%s: cannot write a temporary file beside it",
					       sorter->beside);
		p += done;
		len -= (size_t)done;
		sorter->file_len += done;
	}
	return 0;
}

static int write_run(struct item_sorter *sorter, struct strbuf *out, struct error *err)
{
	for (size_t i = 0; i < sorter->key_count; i++) {
		const char *p = sorter->buffer.data + sorter->keys[i].offset;
		struct sort_head head;
		memcpy(&head, p, sizeof(head));
		size_t len = sizeof(head) + head.len;
		char *to = strbuf_reserve(out, len);
		if (!to)
			return error_set(err, ERR_INTERNAL, "an item of %u bytes is too long", head.len);
		memcpy(to, p, len);
		strbuf_advance(out, len);
		if (out->len < WRITE_SIZE && i + 1 < sorter->key_count)
			continue;
		int rc = write_all(sorter, out->data, out->len, err);
		if (rc < 0)
			return rc;
		strbuf_clear(out);
	}
	return 0;
}

/* Writes what is in memory as one run. */
static int spill(struct item_sorter *sorter, struct error *err)
{
	if (sorter->fd < 0) {
		int rc = open_file(sorter, err);
		if (rc < 0)
			return rc;
	}
	sort_keys(sorter);
	int64_t start = sorter->file_len;
	struct strbuf out;
	strbuf_init(&out, WRITE_SIZE + ITEM_MAX);
	int rc = write_run(sorter, &out, err);
	strbuf_release(&out);
	if (rc < 0)
		return rc;
	MEM_GROW(sorter->runs, sorter->run_count, sorter->run_capacity);
	sorter->runs[sorter->run_count++] = (struct sort_run){.pos = start, .end = sorter->file_len};
	strbuf_clear(&sorter->buffer);
	sorter->key_count = 0;
	sorter->moved = 0;
	return 0;
}

/* Where the key belongs among those in order: near the end as a rule, so the end is looked at first. */
static size_t find_place(const struct item_sorter *sorter, const struct sort_key *key)
{
	size_t high = sorter->key_count;
	for (unsigned n = 0; n < NEAR && high > 0; n++, high--) {
		if (!key_after(&sorter->keys[high - 1], key))
			return high;
	}
	size_t low = 0;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (key_after(&sorter->keys[middle], key))
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/*
 * A log's items come in nearly the order of their times: each is put in its place at once, which is cheaper than
 * sorting later what was nearly sorted. When too many places are far from the end, it is left to the sort.
 */
static void add_key(struct item_sorter *sorter, struct sort_key key)
{
	MEM_GROW(sorter->keys, sorter->key_count, sorter->key_capacity);
	size_t place = sorter->sorted ? find_place(sorter, &key) : sorter->key_count;
	size_t behind = sorter->key_count - place;
	sorter->moved += behind;
	if (behind > NEAR && sorter->moved > MOVED_MAX) {
		sorter->sorted = false;
		place = sorter->key_count;
		behind = 0;
	}
	memmove(&sorter->keys[place + 1], &sorter->keys[place], behind * sizeof(*sorter->keys));
	sorter->keys[place] = key;
	sorter->key_count++;
}

int item_sorter_add(struct item_sorter *sorter, const struct sort_head *head, const void *body, struct error *err)
{
	size_t used = sorter->buffer.len + sorter->key_count * sizeof(*sorter->keys);
	size_t size = sizeof(*head) + head->len + sizeof(*sorter->keys);
	if (sorter->key_count > 0 && used + size > sorter->memory) {
		int rc = spill(sorter, err);
		if (rc < 0)
			return rc;
	}
	size_t offset = sorter->buffer.len;
	char *p = strbuf_reserve(&sorter->buffer, sizeof(*head) + head->len);
	if (!p)
		return error_set(err, ERR_INTERNAL, "an item of %u bytes is too long", head->len);
	memcpy(p, head, sizeof(*head));
	if (head->len)
		memcpy(p + sizeof(*head), body, head->len);
	strbuf_advance(&sorter->buffer, sizeof(*head) + head->len);
	add_key(sorter, (struct sort_key){head->time_ns, head->number, offset});
	return 0;
}

/* Has at least need bytes in the run's window. */
static int run_fill(struct item_sorter *sorter, struct sort_run *run, size_t need, struct error *err)
{
	if (run->len - run->from >= need)
		return 0;
	if (run->from > 0) {
		memmove(run->window, run->window + run->from, run->len - run->from);
		run->len -= run->from;
		run->from = 0;
	}
	if (run->capacity < need || run->capacity == 0) {
		run->capacity = need > WINDOW_SIZE ? need : WINDOW_SIZE;
		run->window = mem_realloc(run->window, run->capacity, 1);
	}
	while (run->len < run->capacity && run->pos < run->end) {
		size_t want = run->capacity - run->len;
		if ((int64_t)want > run->end - run->pos)
			want = (size_t)(run->end - run->pos);
		ssize_t got = pread(sorter->fd, run->window + run->len, want, run->pos);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		run->len += (size_t)got;
		run->pos += got;
	}
	if (run->len < need)
		return error_set(err, ERR_INTERNAL, "%s: cannot read back the temporary file beside it",
				 sorter->beside);
	return 0;
}

/* Reads the head of the run's next item. 1, 0 at its end, negative. */
static int run_head(struct item_sorter *sorter, struct sort_run *run, struct error *err)
{
	if (run->from == run->len && run->pos == run->end)
		return 0;
	int rc = run_fill(sorter, run, sizeof(run->head), err);
	if (rc < 0)
		return rc;
	memcpy(&run->head, run->window + run->from, sizeof(run->head));
	rc = run_fill(sorter, run, sizeof(run->head) + run->head.len, err);
	return rc < 0 ? rc : 1;
}

static bool run_before(const struct sort_run *a, const struct sort_run *b)
{
	if (a->head.time_ns != b->head.time_ns)
		return a->head.time_ns < b->head.time_ns;
	return a->head.number < b->head.number;
}

static void heap_sink(struct item_sorter *sorter, size_t at)
{
	for (;;) {
		size_t least = at;
		for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < sorter->heap_len; child++) {
			if (run_before(&sorter->runs[sorter->heap[child]], &sorter->runs[sorter->heap[least]]))
				least = child;
		}
		if (least == at)
			return;
		size_t run = sorter->heap[at];
		sorter->heap[at] = sorter->heap[least];
		sorter->heap[least] = run;
		at = least;
	}
}

static int start_merge(struct item_sorter *sorter, struct error *err)
{
	sorter->merging = true;
	if (sorter->run_count == 0) {
		sort_keys(sorter);
		return 0;
	}
	int rc = sorter->key_count > 0 ? spill(sorter, err) : 0;
	if (rc < 0)
		return rc;
	strbuf_release(&sorter->buffer);
	free(sorter->keys);
	sorter->keys = NULL;
	sorter->heap = mem_zalloc(sorter->run_count, sizeof(*sorter->heap));
	for (size_t i = 0; i < sorter->run_count; i++) {
		rc = run_head(sorter, &sorter->runs[i], err);
		if (rc < 0)
			return rc;
		if (rc > 0)
			sorter->heap[sorter->heap_len++] = i;
	}
	for (size_t i = sorter->heap_len; i-- > 0;)
		heap_sink(sorter, i);
	return 0;
}

static int next_in_memory(struct item_sorter *sorter, struct sort_head *head, struct span *body)
{
	if (sorter->next_key == sorter->key_count)
		return 0;
	const char *p = sorter->buffer.data + sorter->keys[sorter->next_key++].offset;
	memcpy(head, p, sizeof(*head));
	*body = (struct span){p + sizeof(*head), head->len};
	return 1;
}

int item_sorter_next(struct item_sorter *sorter, struct sort_head *head, struct span *body, struct error *err)
{
	int rc = sorter->merging ? 0 : start_merge(sorter, err);
	if (rc < 0)
		return rc;
	if (sorter->run_count == 0)
		return next_in_memory(sorter, head, body);
	if (sorter->heap_len == 0)
		return 0;
	/* The item given out last is still in its run's window: only now is the run moved on. */
	struct sort_run *run = &sorter->runs[sorter->heap[0]];
	if (sorter->given) {
		run->from += sizeof(run->head) + run->head.len;
		rc = run_head(sorter, run, err);
		if (rc < 0)
			return rc;
		if (rc == 0) {
			free(run->window);
			run->window = NULL;
			sorter->heap[0] = sorter->heap[--sorter->heap_len];
		}
		heap_sink(sorter, 0);
		if (sorter->heap_len == 0)
			return 0;
		run = &sorter->runs[sorter->heap[0]];
	}
	sorter->given = true;
	*head = run->head;
	*body = (struct span){run->window + run->from + sizeof(*head), head->len};
	return 1;
}

struct item item_sorter_item(const struct sort_head *head)
{
	return (struct item){.kind = (enum item_kind)head->kind,
			     .flags = head->flags,
			     .session = head->session,
			     .time_ns = head->time_ns,
			     .duration_ns = head->duration_ns,
			     .sqlstate = head->sqlstate,
			     .text = ITEM_NO_TEXT,
			     .source_file = head->source_file,
			     .source_line = head->source_line};
}
