/* The replay file and the container below it: what is written comes back, and what was damaged is refused with an
 * offset. */
#include "replay_builder.h"
#include "replay_file.h"
#include "strbuf.h"
#include "temp_folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct temp_folder folder;

static void build_small(const char *path)
{
	static const char *const values[] = {"7", "\\N", "it's\n\"x\"", NULL};
	struct replay_builder *b = replay_builder_new(path);
	uint32_t one = replay_builder_session(b, "ann", "shop");
	uint32_t two = replay_builder_session(b, "bob", "shop");
	replay_builder_connect(b, one, 0);
	replay_builder_connect(b, two, 0);
	replay_builder_simple(b, one, 5, "SELECT * FROM t WHERE id = 42 AND name = 'x''y'");
	replay_builder_execute(b, two, 6, "S_1", "INSERT INTO t VALUES ($1, $2, $3)", values);
	replay_builder_cancel(b, two, 7);
	replay_builder_disconnect(b, one, 8);
	replay_builder_disconnect(b, two, 9);
	replay_builder_finish(b);
}

static void test_round_trip(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct replay_file *file;
	struct replay_batch batch;
	struct strbuf sql;
	const char *path = temp_folder_file(&folder, "small.rpl");
	build_small(path);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(replay_file_open(path, &file, &err), 0);
	assert_int_equal(replay_file_item_count(file), 7);
	assert_int_equal(replay_file_kind_count(file, ITEM_CONNECT), 2);
	assert_int_equal(replay_file_span_ns(file), 9000000);
	assert_int_equal(replay_file_session_count(file), 2);
	assert_string_equal(replay_file_source(file, 0), "by-hand.csv");
	assert_true(span_equal_str(replay_file_session(file, 1)->user, "bob"));
	strbuf_init(&sql, 1000);
	replay_batch_init(&batch);
	assert_int_equal(replay_file_batch_count(file), 1);
	assert_int_equal(replay_file_read_batch(file, 0, &batch, &err), 0);
	assert_int_equal(batch.count, 7);
	const struct item *items = batch.items;
	replay_item_sql(file, &items[2], &sql);
	assert_string_equal(sql.data, "SELECT * FROM t WHERE id = 42 AND name = 'x''y'");
	assert_int_equal(items[2].time_ns, 5000000);
	assert_int_equal(items[3].kind, ITEM_EXECUTE);
	assert_true(span_equal_str(items[3].statement_name, "S_1"));
	assert_int_equal(items[3].parameter_count, 3);
	assert_true(span_equal_str(items[3].parameters[0], "7"));
	assert_null(items[3].parameters[1].p);
	assert_true(span_equal_str(items[3].parameters[2], "it's\n\"x\""));
	assert_int_equal(items[6].kind, ITEM_DISCONNECT);
	assert_int_equal(items[6].text, ITEM_NO_TEXT);
	strbuf_release(&sql);
	replay_batch_release(&batch);
	replay_file_free(file);
}

static size_t load(const char *path, unsigned char *bytes, size_t max)
{
	int fd = open(path, O_RDONLY);
	ssize_t got = read(fd, bytes, max);
	(void)close(fd);
	return got < 0 ? 0 : (size_t)got;
}

static void store(const char *path, const unsigned char *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	(void)close(fd);
}

/* Opens and reads everything; 0, or the error's code. */
static int read_all(const char *path, struct error *err)
{
	struct replay_file *file;
	struct replay_batch batch;
	int rc = replay_file_open(path, &file, err);
	if (rc < 0)
		return rc;
	replay_batch_init(&batch);
	for (uint32_t i = 0; rc == 0 && i < replay_file_batch_count(file); i++)
		rc = replay_file_read_batch(file, i, &batch, err);
	replay_batch_release(&batch);
	replay_file_free(file);
	return rc;
}

static void test_every_cut_is_refused(void **state)
{
	(void)state;
	static unsigned char bytes[65536];
	const char *path = temp_folder_file(&folder, "cut.rpl");
	build_small(path);
	size_t len = load(path, bytes, sizeof(bytes));
	for (size_t cut = 0; cut < len; cut++) {
		struct error err = ERROR_INIT;
		store(path, bytes, cut);
		assert_int_equal(read_all(path, &err), -ERR_DATA);
		assert_non_null(strstr(err.text, "offset"));
	}
}

static void test_every_flipped_bit_is_refused(void **state)
{
	(void)state;
	static unsigned char bytes[65536];
	const char *path = temp_folder_file(&folder, "flip.rpl");
	build_small(path);
	size_t len = load(path, bytes, sizeof(bytes));
	for (size_t i = 0; i < len; i++) {
		if (i >= 12 && i < 16)
			continue; /* the header's reserved field: says nothing, harms nothing */
		for (int bit = 0; bit < 8; bit++) {
			struct error err = ERROR_INIT;
			bytes[i] ^= (unsigned char)(1 << bit);
			store(path, bytes, len);
			assert_int_equal(read_all(path, &err), -ERR_DATA);
			assert_non_null(strstr(err.text, "offset"));
			bytes[i] ^= (unsigned char)(1 << bit);
		}
	}
}

static void test_foreign_files_are_refused(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	static unsigned char text[500];
	memset(text, 'x', sizeof(text));
	const char *path = temp_folder_file(&folder, "foreign.rpl");
	store(path, text, sizeof(text));
	assert_int_equal(read_all(path, &err), -ERR_DATA);
	assert_int_equal(read_all("/nowhere/at.all", &err), -ERR_DATA);
	assert_int_equal(read_all(folder.path, &err), -ERR_DATA);
}

static void test_abort_leaves_nothing(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct replay_writer *writer;
	const char *path = temp_folder_file(&folder, "aborted.rpl");
	assert_int_equal(replay_writer_open(path, &writer, &err), 0);
	replay_writer_abort(writer);
	assert_int_equal(access(path, F_OK), -1);
}

static void test_time_may_not_go_back(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct replay_writer *writer;
	struct replay_session session = {.user = span_from_str("u"), .database = span_from_str("d")};
	assert_int_equal(replay_writer_open(temp_folder_file(&folder, "back.rpl"), &writer, &err), 0);
	session.application = session.client = span_from_str("");
	(void)replay_writer_add_session(writer, &session);
	struct item item = {.kind = ITEM_CONNECT, .text = ITEM_NO_TEXT, .time_ns = 100};
	assert_int_equal(replay_writer_add_item(writer, &item, &err), 0);
	item.time_ns = 99;
	assert_int_equal(replay_writer_add_item(writer, &item, &err), -ERR_INTERNAL);
	item.time_ns = 100;
	item.session = 1;
	assert_int_equal(replay_writer_add_item(writer, &item, &err), -ERR_INTERNAL);
	replay_writer_abort(writer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_every_cut_is_refused),
		cmocka_unit_test(test_every_flipped_bit_is_refused),
		cmocka_unit_test(test_foreign_files_are_refused),
		cmocka_unit_test(test_abort_leaves_nothing),
		cmocka_unit_test(test_time_may_not_go_back),
	};
	temp_folder_init(&folder);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	temp_folder_release(&folder);
	return failed;
}
