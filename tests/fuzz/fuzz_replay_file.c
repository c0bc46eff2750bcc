/*
 * The reader of replay files. A first byte of 0: the rest is the file, which checksums mostly refuse. Else the rest is
 * a list of chunks (type, count, first, length, bytes) that are put into a sound container, so that what reads the
 * tables and items sees anything. Whatever opens is read to its end, and every text is put together.
 */
#include "chunk_file.h"
#include "replay_file.h"

#include <unistd.h>

#define SCRATCH	   "fuzz_replay_file.rpl"
#define SQL_MAX	   ((size_t)1024 * 1024)
#define HEADER_LEN 7
#define COUNT_MAX  4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool right)
{
	if (!right)
		abort();
}

static void write_raw(const uint8_t *data, size_t size)
{
	FILE *file = fopen(SCRATCH, "w");
	check(file && fwrite(data, 1, size, file) == size && fclose(file) == 0);
}

static void write_chunks(const uint8_t *data, size_t size)
{
	static const char types[6][5] = {"ITEM", "SESS", "TEXT", "SRCS", "SUMM", "ELSE"};
	struct error err = ERROR_INIT;
	struct chunk_writer *writer;
	check(chunk_writer_open(SCRATCH, "RPLY", REPLAY_FILE_VERSION, &writer, &err) == 0);
	uint64_t items = 0;
	while (size >= HEADER_LEN) {
		const char *type = types[data[0] % 6];
		uint32_t count = (uint32_t)(data[1] | data[2] << 8) % COUNT_MAX;
		uint64_t first = data[3];
		size_t len = (size_t)(data[4] | data[5] << 8 | data[6] << 16);
		data += HEADER_LEN;
		size -= HEADER_LEN;
		len = len < size ? len : size;
		if (memcmp(type, "ITEM", 4) == 0) {
			first += items;
			items += count;
		}
		check(chunk_writer_add(writer, type, count, first, data, len, &err) == 0);
		data += len;
		size -= len;
	}
	check(chunk_writer_commit(writer, &err) == 0);
}

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
			check(item->session < replay_file_session_count(file));
			check(replay_file_source(file, item->source_file) != NULL);
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
	if (data[0] == 0)
		write_raw(data + 1, size - 1);
	else
		write_chunks(data + 1, size - 1);
	struct error err = ERROR_INIT;
	struct replay_file *file;
	if (replay_file_open(SCRATCH, &file, &err) == 0) {
		read_items(file);
		replay_file_free(file);
	}
	(void)unlink(SCRATCH);
	return 0;
}
