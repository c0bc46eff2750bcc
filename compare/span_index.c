/* Spans of time by key: see span_index.h. */
#include "span_index.h"

#include "mem.h"

void span_index_release(struct span_index *index)
{
	free(index->spans);
	*index = (struct span_index){0};
}

void span_index_add(struct span_index *index, uint64_t key, int64_t start_ns, int64_t end_ns, size_t value)
{
	MEM_GROW(index->spans, index->count, index->capacity);
	index->spans[index->count++] = (struct time_span){key, start_ns, end_ns, end_ns, value};
}

static int compare(const void *a, const void *b)
{
	const struct time_span *x = a;
	const struct time_span *y = b;
	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	if (x->start_ns != y->start_ns)
		return x->start_ns < y->start_ns ? -1 : 1;
	return (x->value > y->value) - (x->value < y->value);
}

void span_index_sort(struct span_index *index)
{
	if (index->count > 1)
		qsort(index->spans, index->count, sizeof(*index->spans), compare);
	for (size_t i = 1; i < index->count; i++) {
		struct time_span *span = &index->spans[i];
		if (span->key == span[-1].key && span[-1].until_ns > span->until_ns)
			span->until_ns = span[-1].until_ns;
	}
}

/* Everything before it is of a smaller key, or over before `from`. */
static size_t first_span(const struct span_index *index, uint64_t key, int64_t from_ns)
{
	size_t low = 0;
	size_t high = index->count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct time_span *span = &index->spans[mid];
		if (span->key < key || (span->key == key && span->until_ns < from_ns))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct time_span *span_index_next(const struct span_index *index, uint64_t key, int64_t from_ns, int64_t to_ns,
					size_t *at)
{
	size_t i = *at ? *at : first_span(index, key, from_ns);
	for (; i < index->count && index->spans[i].key == key && index->spans[i].start_ns <= to_ns; i++) {
		if (index->spans[i].end_ns >= from_ns) {
			*at = i + 1;
			return &index->spans[i];
		}
	}
	return NULL;
}

/* FNV-1a, with its authors' constants for 64 bits (isthe.com/chongo/tech/comp/fnv). */
uint64_t span_key_of_text(const char *text)
{
	uint64_t key = UINT64_C(14695981039346656037);
	for (; *text; text++)
		key = (key ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return key;
}
