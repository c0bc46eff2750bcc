/* Amplified replay files: copies, their order, their jitter, and what they leave out. */
#include "amplify.h"
#include "clock.h"
#include "replay_builder.h"
#include "temp_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct temp_folder folder;

static struct replay_file *open_original(void)
{
	struct error err = ERROR_INIT;
	struct replay_file *file;
	const char *path = temp_folder_file(&folder, "original.rpl");
	struct replay_builder *b = replay_builder_new(path);
	for (int s = 0; s < 3; s++)
		(void)replay_builder_session(b, "u", "d");
	for (uint32_t s = 0; s < 3; s++)
		replay_builder_connect(b, s, (int)s);
	for (int i = 0; i < 20; i++) {
		for (uint32_t s = 0; s < 3; s++) {
			replay_builder_simple(b, s, 10 + i * 10, "SELECT 1");
			replay_builder_simple(b, s, 10 + i * 10, "UPDATE t SET a = 1");
		}
	}
	for (uint32_t s = 0; s < 3; s++)
		replay_builder_disconnect(b, s, 300);
	replay_builder_finish(b);
	assert_int_equal(replay_file_open(path, &file, &err), 0);
	return file;
}

static struct replay_file *amplify(const struct replay_file *file, const struct amplify_options *options,
				   struct amplify_counts *counts)
{
	struct error err = ERROR_INIT;
	struct replay_file *more;
	const char *path = temp_folder_file(&folder, "more.rpl");
	assert_int_equal(amplify_write(file, options, path, counts, &err), 0);
	assert_int_equal(replay_file_open(path, &more, &err), 0);
	return more;
}

/* Per session: connect first, disconnect last, times never back; the counts of each kind. */
static void check_order(const struct replay_file *file, uint64_t sessions, uint64_t statements)
{
	struct error err = ERROR_INIT;
	struct replay_batch batch;
	static int seen[64];
	memset(seen, 0, sizeof(seen));
	uint64_t simple = 0;
	int64_t last_ns = 0;
	replay_batch_init(&batch);
	for (uint32_t b = 0; b < replay_file_batch_count(file); b++) {
		assert_int_equal(replay_file_read_batch(file, b, &batch, &err), 0);
		for (uint32_t i = 0; i < batch.count; i++) {
			const struct item *item = &batch.items[i];
			assert_true(item->time_ns >= last_ns);
			last_ns = item->time_ns;
			if (item->kind == ITEM_CONNECT)
				assert_int_equal(seen[item->session]++, 0);
			else
				assert_int_equal(seen[item->session], 1);
			if (item->kind == ITEM_DISCONNECT)
				seen[item->session]++;
			simple += item->kind == ITEM_SIMPLE;
		}
	}
	replay_batch_release(&batch);
	for (uint64_t s = 0; s < sessions; s++)
		assert_int_equal(seen[s], 2);
	assert_int_equal(simple, statements);
}

static void test_copies_read_only(void **state)
{
	(void)state;
	struct amplify_counts counts;
	struct replay_file *file = open_original();
	struct amplify_options options = {.times = 4, .jitter_ns = 500 * NS_PER_MS, .seed = 7};
	struct replay_file *more = amplify(file, &options, &counts);
	assert_int_equal(replay_file_session_count(more), 12);
	assert_int_equal(counts.left_out, 3 * 60);
	assert_int_equal(counts.copied, 3 * (60 + 6));
	check_order(more, 12, 120 + 180);
	replay_file_free(more);
	replay_file_free(file);
}

static void test_the_seed_decides(void **state)
{
	(void)state;
	struct amplify_counts counts;
	int64_t spans[3];
	struct replay_file *file = open_original();
	for (int i = 0; i < 3; i++) {
		struct amplify_options options = {
			.times = 3, .jitter_ns = NS_PER_S, .seed = i == 2 ? 9 : 8, .writes = true};
		struct replay_file *more = amplify(file, &options, &counts);
		assert_int_equal(counts.left_out, 0);
		check_order(more, 9, 3 * 120);
		spans[i] = replay_file_span_ns(more);
		replay_file_free(more);
	}
	assert_int_equal(spans[0], spans[1]);
	assert_int_not_equal(spans[0], spans[2]);
	replay_file_free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copies_read_only),
		cmocka_unit_test(test_the_seed_decides),
	};
	temp_folder_init(&folder);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	temp_folder_release(&folder);
	return failed;
}
