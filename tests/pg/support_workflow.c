/* Migrations for tests: see support_workflow.h. */
#include "support_workflow.h"

#include "clock.h"
#include "mem.h"
#include "workflow_mark.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

void workflow_test_init(struct workflow_test *test, const struct pg_server *server)
{
	memset(test, 0, sizeof(*test));
	temp_folder_init(&test->folder);
	test->server = server;
	test->parallel = 1;
	test->lock_timeout_ns = 2 * NS_PER_S;
	test->retries = 5;
	assert_int_equal(
		pg_server_run(server,
			      "SET client_min_messages = warning; DROP SCHEMA public CASCADE; CREATE SCHEMA public"),
		0);
}

void workflow_test_release(struct workflow_test *test)
{
	workflow_results_release(&test->results);
	temp_folder_release(&test->folder);
}

static void path_of(const struct workflow_test *test, const char *id, const char *name, char *out, size_t size)
{
	(void)snprintf(out, size, "%s/%s%s%s", test->folder.path, id, name ? "/" : "", name ? name : "");
}

void workflow_test_write(const struct workflow_test *test, const char *id, const char *name, const char *text)
{
	char path[600];
	path_of(test, id, name, path, sizeof(path));
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

void workflow_test_add(const struct workflow_test *test, const char *id, const char *needs, const char *more,
		       const char *up, const char *down)
{
	char path[600], meta[1000], list[400] = "";
	path_of(test, id, NULL, path, sizeof(path));
	assert_int_equal(mkdir(path, 0700), 0);
	for (const char *p = needs; *p; p += strspn(p, " ")) {
		size_t used = strlen(list), len = strcspn(p, " ");
		(void)snprintf(list + used, sizeof(list) - used, "%s\"%.*s\"", used ? ", " : "", (int)len, p);
		p += len;
	}
	(void)snprintf(meta, sizeof(meta), "{\"id\": \"%s\", \"title\": \"t %s\", \"depends_on\": [%s]%s}", id, id,
		       list, more);
	workflow_test_write(test, id, "meta.json", meta);
	workflow_test_write(test, id, "up.sql", up);
	if (down)
		workflow_test_write(test, id, "down.sql", down);
}

void workflow_test_remove(const struct workflow_test *test, const char *id)
{
	static const char *const names[] = {"meta.json", "up.sql", "down.sql", NULL};
	char path[600];
	for (size_t i = 0; i < 4; i++) {
		path_of(test, id, names[i], path, sizeof(path));
		(void)(names[i] ? unlink(path) : rmdir(path));
	}
}

/* What one step works on. */
struct site {
	struct workflow_folder folder;
	struct workflow_session *session;
	struct workflow_view view;
	struct workflow_choice choice;
};

static int open_site(struct workflow_test *test, struct site *site)
{
	const struct workflow_session_options options = {
		.url = test->server->url, .table = WORKFLOW_TABLE_STANDARD, .for_real = true};
	memset(site, 0, sizeof(*site));
	error_clear(&test->err);
	int rc = workflow_folder_load(test->folder.path, false, &site->folder, &test->err);
	if (rc == 0)
		rc = workflow_session_open(&options, &site->session, &test->err);
	if (rc == 0)
		rc = workflow_view_init(&site->view, &site->folder, workflow_session_history(site->session),
					&test->err);
	return rc;
}

static void close_site(struct site *site)
{
	workflow_choice_release(&site->choice);
	workflow_view_release(&site->view);
	workflow_session_close(site->session);
	workflow_folder_release(&site->folder);
}

static size_t index_of(const struct site *site, const char *id)
{
	return id ? workflow_folder_find(&site->folder, id) : WORKFLOW_NONE;
}

static int run(struct workflow_test *test, struct site *site, bool down)
{
	const struct workflow_run_options options = {.session = site->session,
						     .view = &site->view,
						     .choice = &site->choice,
						     .down = down,
						     .parallel = test->parallel,
						     .lock_timeout_ns = test->lock_timeout_ns,
						     .retries = test->retries,
						     .unmeasured = test->unmeasured,
						     .cancelled = test->cancelled};
	return workflow_run(&options, &test->results, &test->err);
}

int workflow_test_up(struct workflow_test *test, const char *to, const char *only, const char *skip)
{
	struct site site;
	workflow_results_release(&test->results);
	int rc = open_site(test, &site);
	size_t skipped = index_of(&site, skip);
	const struct workflow_up_request request = {.to = index_of(&site, to),
						    .only = index_of(&site, only),
						    .skip = &skipped,
						    .skip_count = skip ? 1 : 0,
						    .skip_missing = test->skip_missing,
						    .allow_changed = test->allow_changed};
	if (rc == 0)
		rc = workflow_choose_up(&site.view, &request, &site.choice, &test->err);
	if (rc == 0)
		rc = run(test, &site, false);
	close_site(&site);
	return rc;
}

int workflow_test_down(struct workflow_test *test, const char *id, size_t steps)
{
	struct site site;
	workflow_results_release(&test->results);
	int rc = open_site(test, &site);
	if (rc == 0)
		rc = workflow_choose_down(&site.view, index_of(&site, id), steps, test->skip_missing, &site.choice,
					  &test->err);
	if (rc == 0)
		rc = run(test, &site, true);
	close_site(&site);
	return rc;
}

int workflow_test_mark(struct workflow_test *test, const char *id, const char *reason)
{
	struct site site;
	int rc = open_site(test, &site);
	if (rc == 0 && reason)
		rc = workflow_mark_skipped(site.session, &site.view, index_of(&site, id), reason, &test->err);
	else if (rc == 0)
		rc = workflow_mark_undone(site.session, &site.view, index_of(&site, id), &test->err);
	close_site(&site);
	return rc;
}

int workflow_test_reset(struct workflow_test *test, const char *to)
{
	struct site site;
	struct workflow_reset reset = {0};
	int rc = open_site(test, &site);
	if (rc == 0) {
		workflow_reset_plan(&site.view, index_of(&site, to), &reset);
		rc = workflow_reset_apply(site.session, &site.view, &reset, &test->err);
	}
	workflow_reset_release(&reset);
	close_site(&site);
	return rc;
}

const char *workflow_test_outcomes(const struct workflow_test *test)
{
	static char text[2000];
	struct workflow_folder folder;
	struct error err = ERROR_INIT;
	*text = '\0';
	assert_int_equal(workflow_folder_load(test->folder.path, false, &folder, &err), 0);
	for (size_t i = 0; i < test->results.count; i++) {
		const struct workflow_result *result = &test->results.items[i];
		size_t used = strlen(text);
		(void)snprintf(text + used, sizeof(text) - used, "%s%s:%s", used ? " " : "",
			       folder.migrations[result->migration].meta.id, workflow_outcome_name(result->outcome));
	}
	workflow_folder_release(&folder);
	return text;
}

const struct workflow_result *workflow_test_result(const struct workflow_test *test, size_t at)
{
	assert_true(at < test->results.count);
	return &test->results.items[at];
}

char *workflow_test_history(const struct workflow_test *test)
{
	PGconn *conn = pg_server_connect(test->server, NULL);
	assert_non_null(conn);
	char *there = pg_server_value(conn, "SELECT to_regclass('public.rehearse_migrations')");
	char *text = there ? pg_server_value(conn, "SELECT coalesce(string_agg(id || ':' || state, ' ' ORDER BY id), "
						   "'empty') FROM public.rehearse_migrations")
			   : mem_strdup("none");
	PQfinish(conn);
	free(there);
	return text;
}

void workflow_test_expect(const struct workflow_test *test, const char *outcomes, const char *history)
{
	char *text = workflow_test_history(test);
	if (test->err.code)
		print_message("%s\n", test->err.text);
	for (size_t i = 0; i < test->results.count; i++) {
		if (test->results.items[i].message)
			print_message("%s\n", test->results.items[i].message);
	}
	assert_string_equal(workflow_test_outcomes(test), outcomes);
	assert_string_equal(text, history);
	free(text);
	assert_int_equal(pg_server_ask(test->server, "SELECT count(*) FROM pg_stat_activity WHERE application_name "
						     "LIKE 'rehearse%' AND state LIKE 'idle in%'"),
			 0);
}
