/* Walking two run logs and the item index page by page: see pairing.h. */
#include "pairing.h"

#include "mem.h"

_Static_assert(ITEM_INDEX_PAGE == RUN_LOG_PAGE, "the files pair page by page");

struct pairing {
	struct run_data *data;
	uint32_t page;	/* the next to read */
	uint32_t count; /* items in the page at hand */
	uint32_t next;
	struct item_index_row *rows;
	struct run_record *records[JUDGE_LANES];
};

void pairing_open(struct run_data *data, struct pairing **out)
{
	struct pairing *pairing = mem_zalloc(1, sizeof(*pairing));
	pairing->data = data;
	pairing->rows = mem_zalloc(ITEM_INDEX_PAGE, sizeof(*pairing->rows));
	for (int lane = 0; lane < JUDGE_LANES; lane++)
		pairing->records[lane] = mem_zalloc(RUN_LOG_PAGE, sizeof(*pairing->records[lane]));
	*out = pairing;
}

static int read_page(struct pairing *pairing, struct error *err)
{
	int rc = item_index_read_page(pairing->data->items, pairing->page, pairing->rows, &pairing->count, err);
	for (int lane = 0; rc == 0 && lane < JUDGE_LANES; lane++) {
		uint32_t count;
		rc = run_log_read_page(pairing->data->logs[lane], pairing->page, pairing->records[lane], &count, err);
		if (rc == 0 && count != pairing->count)
			rc = error_set(err, ERR_DATA, "%s: page %u of the %s run log has %u items, the index has %u",
				       pairing->data->dir, pairing->page, judge_lane_name(lane), count, pairing->count);
	}
	pairing->page++;
	pairing->next = 0;
	return rc;
}

int pairing_next(struct pairing *pairing, struct pair *out, struct error *err)
{
	if (pairing->next == pairing->count) {
		if ((uint64_t)pairing->page * ITEM_INDEX_PAGE >= item_index_count(pairing->data->items))
			return 0;
		int rc = read_page(pairing, err);
		if (rc < 0)
			return rc;
		if (pairing->count == 0)
			return 0;
	}
	uint32_t i = pairing->next++;
	const struct item_index_row *row = &pairing->rows[i];
	if (row->session >= item_index_session_count(pairing->data->items) ||
	    (row->fingerprint != ITEM_NO_TEXT &&
	     row->fingerprint >= item_index_fingerprint_count(pairing->data->items)))
		return error_set(err, ERR_DATA, "%s/%s: item %llu refers to a row that is not there",
				 pairing->data->dir, ITEM_INDEX_FILE,
				 (unsigned long long)(pairing->page - 1) * ITEM_INDEX_PAGE + i);
	out->ordinal = (uint64_t)(pairing->page - 1) * ITEM_INDEX_PAGE + i;
	out->item = row;
	for (int lane = 0; lane < JUDGE_LANES; lane++)
		out->lane[lane] = &pairing->records[lane][i];
	return 1;
}

void pairing_free(struct pairing *pairing)
{
	if (!pairing)
		return;
	for (int lane = 0; lane < JUDGE_LANES; lane++)
		free(pairing->records[lane]);
	free(pairing->rows);
	free(pairing);
}
