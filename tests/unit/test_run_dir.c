/* A run's folder: made, refused, and made anew over what a finished or a killed run left. */
#include "mem.h"
#include "out_file.h"
#include "run_dir.h"
#include "temp_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct temp_folder folder;

static void touch(const char *dir, const char *name)
{
	struct error err = ERROR_INIT;
	char *path = run_dir_path(dir, name);
	assert_int_equal(out_file_save(path, "x", 1, &err), 0);
	free(path);
}

static void test_is_made_with_those_above(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	struct stat st;
	const char *path = temp_folder_file(&folder, "a/b/run");
	assert_int_equal(run_dir_create(path, 0, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(run_dir_create(path, 0, &err), 0);
}

static void test_a_run_is_replaced_only_when_told(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	const char *path = temp_folder_file(&folder, "again");
	assert_int_equal(run_dir_create(path, 0, &err), 0);
	touch(path, "run.json");
	touch(path, "baseline.log.a1B2c3.tmp"); /* of a run that was killed */
	assert_int_equal(run_dir_create(path, 0, &err), -ERR_USAGE);
	assert_non_null(strstr(err.text, "--replace"));
	assert_int_equal(run_dir_create(path, 1, &err), 0);
	assert_int_equal(rmdir(path), 0);
}

static void test_other_files_are_never_removed(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	const char *path = temp_folder_file(&folder, "mine");
	assert_int_equal(run_dir_create(path, 0, &err), 0);
	touch(path, "run.json");
	touch(path, "thesis.tex");
	assert_int_equal(run_dir_create(path, 1, &err), -ERR_USAGE);
	assert_non_null(strstr(err.text, "thesis.tex"));
	char *kept = run_dir_path(path, "run.json");
	assert_int_equal(access(kept, F_OK), 0);
	free(kept);
}

static void test_is_checked_without_a_trace(void **state)
{
	(void)state;
	struct error err = ERROR_INIT;
	const char *path = temp_folder_file(&folder, "checked");
	assert_int_equal(run_dir_check(path, 0, &err), 0);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_int_equal(run_dir_create(path, 0, &err), 0);
	touch(path, "run.json");
	assert_int_equal(run_dir_check(path, 0, &err), -ERR_USAGE);
	assert_int_equal(run_dir_check(path, 1, &err), 0);
	touch(path, "thesis.tex");
	assert_int_equal(run_dir_check(path, 1, &err), -ERR_USAGE);
	run_dir_discard(path);
	char *gone = run_dir_path(path, "run.json"), *kept = run_dir_path(path, "thesis.tex");
	assert_int_not_equal(access(gone, F_OK), 0);
	assert_int_equal(unlink(kept), 0);
	run_dir_discard(path);
	assert_int_not_equal(access(path, F_OK), 0);
	free(gone);
	free(kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_made_with_those_above),
		cmocka_unit_test(test_a_run_is_replaced_only_when_told),
		cmocka_unit_test(test_other_files_are_never_removed),
		cmocka_unit_test(test_is_checked_without_a_trace),
	};
	temp_folder_init(&folder);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	temp_folder_release(&folder);
	return failed;
}
