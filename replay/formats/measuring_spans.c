/* When a migration's backends were being measured: see measuring_spans.h. */
#include "measuring_spans.h"

#include "mem.h"

struct measured_span {
	int32_t pid;
	int64_t begin_ns;
	int64_t end_ns;
	int64_t before_ns; /* the lengths of this backend's spans before it */
};

struct measuring_spans {
	struct measured_span *spans; /* by pid, then begin; those of one backend never overlap */
	size_t count;
};

static int compare_statements(const void *a, const void *b)
{
	const struct ledger_statement *x = *(const struct ledger_statement *const *)a;
	const struct ledger_statement *y = *(const struct ledger_statement *const *)b;
	if (x->backend_pid != y->backend_pid)
		return x->backend_pid < y->backend_pid ? -1 : 1;
	if (x->start_ns != y->start_ns)
		return x->start_ns < y->start_ns ? -1 : 1;
	return (x > y) - (x < y);
}

/*
 * Measuring begins with the statement's end. Between two statements of a file that share a transaction there is nothing
 * else (a tool of its own may do what it likes there), which is more than measuring_ns: that is only what came behind
 * the first.
 */
static int64_t end_of(const struct ledger_statement *s, const struct ledger_statement *next)
{
	int64_t end_ns = s->end_ns + s->measuring_ns;
	if (s->transaction_end_ns > s->end_ns && end_ns > s->transaction_end_ns)
		end_ns = s->transaction_end_ns;
	if (!next)
		return end_ns;
	if (s->file && next->file && next->start_ns < s->transaction_end_ns)
		return next->start_ns;
	return end_ns < next->start_ns ? end_ns : next->start_ns;
}

struct measuring_spans *measuring_spans_new(const struct ledger *ledger)
{
	struct measuring_spans *spans = mem_zalloc(1, sizeof(*spans));
	size_t count = ledger->statement_count;
	const struct ledger_statement **sorted = mem_zalloc(count + 1, sizeof(*sorted));
	spans->spans = mem_zalloc(count + 1, sizeof(*spans->spans));
	for (size_t i = 0; i < count; i++)
		sorted[i] = &ledger->statements[i];
	if (count > 1)
		qsort(sorted, count, sizeof(*sorted), compare_statements);
	for (size_t i = 0; i < count; i++) {
		const struct ledger_statement *s = sorted[i];
		bool last = i + 1 == count || sorted[i + 1]->backend_pid != s->backend_pid;
		struct measured_span span = {
			.pid = s->backend_pid, .begin_ns = s->end_ns, .end_ns = end_of(s, last ? NULL : sorted[i + 1])};
		if (span.end_ns <= span.begin_ns || s->backend_pid == 0)
			continue;
		const struct measured_span *earlier = spans->count ? &spans->spans[spans->count - 1] : NULL;
		if (earlier && earlier->pid == span.pid)
			span.before_ns = earlier->before_ns + earlier->end_ns - earlier->begin_ns;
		spans->spans[spans->count++] = span;
	}
	free(sorted);
	return spans;
}

void measuring_spans_free(struct measuring_spans *spans)
{
	if (!spans)
		return;
	free(spans->spans);
	free(spans);
}

/* How long that backend had been measured by then. */
static int64_t measured_until(const struct measuring_spans *spans, int32_t pid, int64_t at_ns)
{
	size_t low = 0;
	size_t high = spans->count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct measured_span *span = &spans->spans[mid];
		if (span->pid < pid || (span->pid == pid && span->begin_ns < at_ns))
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0 || spans->spans[low - 1].pid != pid)
		return 0;
	const struct measured_span *span = &spans->spans[low - 1];
	return span->before_ns + (at_ns < span->end_ns ? at_ns : span->end_ns) - span->begin_ns;
}

int64_t measuring_spans_between_ns(const struct measuring_spans *spans, int32_t backend_pid, int64_t begin_ns,
				   int64_t end_ns)
{
	if (begin_ns >= end_ns)
		return 0;
	return measured_until(spans, backend_pid, end_ns) - measured_until(spans, backend_pid, begin_ns);
}

struct edge {
	int64_t at_ns;
	int measuring; /* +1 and -1, as it begins and ends */
	int running;
};

static int compare_edges(const void *a, const void *b)
{
	const struct edge *x = a;
	const struct edge *y = b;
	return (x->at_ns > y->at_ns) - (x->at_ns < y->at_ns);
}

int64_t measuring_spans_idle_ns(const struct measuring_spans *spans, const struct ledger *ledger, int64_t begin_ns,
				int64_t end_ns)
{
	struct edge *edges = mem_zalloc(2 * (spans->count + ledger->statement_count) + 1, sizeof(*edges));
	size_t count = 0;
	for (size_t i = 0; i < spans->count; i++) {
		edges[count++] = (struct edge){spans->spans[i].begin_ns, 1, 0};
		edges[count++] = (struct edge){spans->spans[i].end_ns, -1, 0};
	}
	for (size_t i = 0; i < ledger->statement_count; i++) {
		if (ledger->statements[i].end_ns <= ledger->statements[i].start_ns)
			continue;
		edges[count++] = (struct edge){ledger->statements[i].start_ns, 0, 1};
		edges[count++] = (struct edge){ledger->statements[i].end_ns, 0, -1};
	}
	if (count > 1)
		qsort(edges, count, sizeof(*edges), compare_edges);
	int64_t sum_ns = 0;
	int measuring = 0;
	int running = 0;
	for (size_t i = 0; i + 1 < count; i++) {
		measuring += edges[i].measuring;
		running += edges[i].running;
		int64_t from = edges[i].at_ns > begin_ns ? edges[i].at_ns : begin_ns;
		int64_t to = edges[i + 1].at_ns < end_ns ? edges[i + 1].at_ns : end_ns;
		if (measuring > 0 && running == 0 && from < to)
			sum_ns += to - from;
	}
	free(edges);
	return sum_ns;
}
