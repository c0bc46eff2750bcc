/*
 * The reader of replay files, from whole files or chunks (support_chunks.h). Whatever opens is read to its end, and
 * every text is put together.
 */
#include "replay_file.h"
#include "support_chunks.h"

#include <unistd.h>

#define SCRATCH "fuzz_replay_file.rpl"
#define SQL_MAX ((size_t)1024 * 1024)

static const struct fuzz_chunks chunks = {.path = SCRATCH,
					  .kind = "RPLY",
					  .version = REPLAY_FILE_VERSION,
					  .types = {"ITEM", "SESS", "TEXT", "SRCS", "SUMM", "ELSE"},
					  .type_count = 6,
					  .counted = "ITEM"};

static void read_items(struct replay_file *file)
{
	struct error err = ERROR_INIT;
	struct replay_batch batch;
	struct strbuf text;
	replay_batch_init(&batch);
	strbuf_init(&text, SQL_MAX);
	for (uint32_t i = 0; i < replay_file_batch_count(file); i++) {
		if (replay_file_read_batch(file, i, &batch, &err) < 0)
			break;
		for (uint32_t n = 0; n < batch.count; n++) {
			const struct item *item = &batch.items[n];
			fuzz_check(item->session < replay_file_session_count(file));
			fuzz_check(replay_file_source(file, item->source_file) != NULL);
			if (item->kind != ITEM_SIMPLE && item->kind != ITEM_EXECUTE)
				continue;
			strbuf_clear(&text);
			replay_item_sql(file, item, &text);
			(void)replay_item_fingerprint(file, item, NULL);
		}
	}
	strbuf_release(&text);
	replay_batch_release(&batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	fuzz_chunks_write(&chunks, data, size);
	struct error err = ERROR_INIT;
	struct replay_file *file;
	if (replay_file_open(SCRATCH, &file, &err) == 0) {
		read_items(file);
		replay_file_free(file);
	}
	(void)unlink(SCRATCH);
	return 0;
}
