/* The evidence judge by itself: which waits it claims, from when to when, and whom it counts. Sampling every 15 ms. */
#include "lock_effect.h"
#include "mem.h"
#include "stall_judge.h"
#include "support_run.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MIGRATION 9000

static struct lock_blocker blocker_store[16];
static size_t blockers_used;

/* A wait behind one blocker from its first sample to its last. */
static struct lock_wait wait_of(int32_t pid, const char *relation, int64_t start_ms, int64_t end_ms, int32_t blocker)
{
	struct lock_wait w = {
		.pid = pid, .start_ns = start_ms * SUPPORT_MS, .end_ns = end_ms * SUPPORT_MS, .samples = 9};
	struct lock_blocker *b = &blocker_store[blockers_used++ % 16];
	*b = (struct lock_blocker){blocker, w.start_ns + 7 * SUPPORT_MS, w.end_ns};
	(void)snprintf(w.lock_type, sizeof(w.lock_type), "%s", *relation ? "relation" : "transactionid");
	(void)snprintf(w.relation, sizeof(w.relation), "%s", relation);
	(void)snprintf(w.mode, sizeof(w.mode), "%s", *relation ? "RowExclusiveLock" : "ShareLock");
	w.blockers = b;
	w.blocker_count = 1;
	return w;
}

struct scene {
	struct lock_wait waits[8];
	struct lock_log log;
	struct ledger ledger;
	struct run_session sessions[4];
	struct stall_judge *judge;
};

static void start_judge(struct scene *scene)
{
	struct stall_input input = {.locks = &scene->log,
				    .ledger = &scene->ledger,
				    .sessions = scene->sessions,
				    .session_count = 4,
				    .item_sessions = 4,
				    .exposure_ns = 100 * SUPPORT_MS};
	scene->judge = stall_judge_new(&input);
}

/* Once more, after the scene was changed. */
static void restart_judge(struct scene *scene, size_t waits)
{
	stall_judge_free(scene->judge);
	scene->log.wait_count = waits;
	start_judge(scene);
}

/* CREATE INDEX on orders holds ShareLock from 1000 ms to 1500 ms. Session s is backend 100 + s. */
static void open_scene(struct scene *scene, size_t waits)
{
	ledger_init(&scene->ledger);
	scene->ledger.outcome = LEDGER_OK;
	scene->ledger.start_ns = 1000 * SUPPORT_MS;
	scene->ledger.end_ns = 1500 * SUPPORT_MS;
	struct ledger_statement *s = ledger_add_statement(&scene->ledger);
	s->backend_pid = MIGRATION;
	s->sql = mem_strdup("CREATE INDEX ON orders (total)");
	s->start_ns = scene->ledger.start_ns;
	s->end_ns = s->transaction_end_ns = scene->ledger.end_ns;
	struct ledger_lock *lock = ledger_statement_add_lock(s);
	(void)snprintf(lock->relation, sizeof(lock->relation), "public.orders");
	(void)snprintf(lock->mode, sizeof(lock->mode), "ShareLock");
	lock->acquired_ns = s->start_ns;
	lock->released_ns = s->end_ns;
	scene->log = (struct lock_log){.interval_ns = 15 * SUPPORT_MS,
				       .end_ns = 5000 * SUPPORT_MS,
				       .waits = scene->waits,
				       .wait_count = waits,
				       .complete = true};
	for (uint32_t i = 0; i < 4; i++)
		scene->sessions[i] = (struct run_session){i, 100 + (int32_t)i, 0, -1};
	start_judge(scene);
}

static void close_scene(struct scene *scene)
{
	stall_judge_free(scene->judge);
	ledger_release(&scene->ledger);
}

/* An execution on the migrating lane, due when it was sent unless it had to queue. */
static int64_t execute(struct scene *scene, uint32_t session, int64_t due_ms, int64_t queue_ms, int64_t service_ms,
		       int64_t *lock_caused_ns)
{
	struct item_index_row row = {.due_ns = due_ms * SUPPORT_MS, .session = session, .kind = ITEM_SIMPLE};
	struct run_record base = {.outcome = RUN_OK, .service_ns = SUPPORT_MS};
	struct run_record mig = {
		.outcome = RUN_OK, .late_ns = queue_ms * SUPPORT_MS, .service_ns = service_ms * SUPPORT_MS};
	struct pair pair = {0, &row, {&base, &mig}};
	int64_t blocked;
	int64_t waited;
	stall_judge_add(scene->judge, &pair, &blocked, &waited, lock_caused_ns);
	assert_true(waited >= blocked);
	return blocked / SUPPORT_MS;
}

/*
 * Session 0 waits for the table from 1100 ms; session 1 waits for a row of session 0's transaction from 1050 ms (not
 * the migration's doing) on, and from 1100 ms behind session 0's wait (it is). Session 2 waits for session 3, which
 * waits for nobody: an ordinary row lock.
 */
static void test_transitive_closure(void **state)
{
	(void)state;
	struct scene scene;
	int64_t caused;
	scene.waits[0] = wait_of(101, "", 1050, 1490, 100);
	scene.waits[1] = wait_of(100, "public.orders", 1100, 1490, MIGRATION);
	scene.waits[2] = wait_of(102, "", 1200, 1300, 103);
	open_scene(&scene, 3);
	assert_int_equal(execute(&scene, 1, 1050, 0, 451, &caused), 400);
	assert_int_equal(execute(&scene, 0, 1100, 0, 401, &caused), 400);
	assert_int_equal(execute(&scene, 2, 1200, 0, 101, &caused), 0);
	stall_judge_finish(scene.judge);
	assert_int_equal(stall_judge_count(scene.judge), 1);
	const struct stall *stall = stall_judge_stall(scene.judge, 0);
	assert_string_equal(stall->relation, "public.orders");
	assert_string_equal(stall->mode, "ShareLock");
	assert_int_equal(stall->start_ns, 1100 * SUPPORT_MS);
	assert_int_equal(stall->end_ns, 1500 * SUPPORT_MS);
	assert_true(stall->exact_end);
	assert_int_equal(stall->victims, 2);
	assert_float_equal(stall->blocked_query_s, 0.8, 1e-9);
	assert_int_equal(stall_judge_other_waits(scene.judge, JUDGE_MIGRATING)->waits, 1);
	assert_null(stall_judge_blindness(scene.judge));
	close_scene(&scene);
}

/* The wait ended long before the transaction did (a timeout of the victim's): the completion says when. */
static void test_end_from_completion(void **state)
{
	(void)state;
	struct scene scene;
	int64_t caused;
	scene.waits[0] = wait_of(100, "public.orders", 1100, 1195, MIGRATION);
	open_scene(&scene, 1);
	assert_int_equal(execute(&scene, 0, 1100, 0, 101, &caused), 101);
	stall_judge_finish(scene.judge);
	assert_int_equal(stall_judge_stall(scene.judge, 0)->end_ns, 1201 * SUPPORT_MS);
	close_scene(&scene);
}

/*
 * What a session's queue owes to a lock: a statement blocked for 400 ms, then one due meanwhile that queued 350 ms,
 * then one that queued 20 ms more than the lock explains cannot owe more than the debt before it.
 */
static void test_lock_debt_is_handed_on(void **state)
{
	(void)state;
	struct scene scene;
	int64_t caused;
	scene.waits[0] = wait_of(100, "public.orders", 1100, 1490, MIGRATION);
	open_scene(&scene, 1);
	assert_int_equal(execute(&scene, 0, 1100, 0, 401, &caused), 400);
	assert_int_equal(caused, 400 * SUPPORT_MS);
	assert_int_equal(execute(&scene, 0, 1151, 350, 2, &caused), 0);
	assert_int_equal(caused, 350 * SUPPORT_MS);
	(void)execute(&scene, 0, 1133, 370, 2, &caused);
	assert_int_equal(caused, 350 * SUPPORT_MS);
	/* Paid off: what it queues from here on is not the lock's. */
	(void)execute(&scene, 0, 2000, 0, 2, &caused);
	assert_int_equal(caused, 0);
	(void)execute(&scene, 0, 2001, 1, 2, &caused);
	assert_int_equal(caused, 0);
	stall_judge_finish(scene.judge);
	assert_int_equal(stall_judge_stall(scene.judge, 0)->victims, 1);
	close_scene(&scene);
}

/* A wait behind the same backend, but after the migration; a backend that serves no session; a deadlock's cycle. */
static void test_what_is_not_claimed(void **state)
{
	(void)state;
	struct scene scene;
	scene.waits[0] = wait_of(100, "public.orders", 3000, 3100, MIGRATION);
	scene.waits[1] = wait_of(777, "public.orders", 1100, 1490, MIGRATION);
	scene.waits[2] = wait_of(102, "", 1200, 1300, 103);
	scene.waits[3] = wait_of(103, "", 1200, 1300, 102);
	open_scene(&scene, 4);
	stall_judge_finish(scene.judge);
	assert_int_equal(stall_judge_count(scene.judge), 0);
	assert_int_equal(stall_judge_unmapped_waits(scene.judge), 1);
	/* ShareLock for 500 ms on orders, and no stall of a replayed session: an exposure. */
	assert_int_equal(stall_judge_exposure_count(scene.judge), 1);
	close_scene(&scene);
}

/* The migration changes rows of orders: who waits for its transaction waits for no relation, and is told of orders. */
static void test_row_locks_take_the_written_table(void **state)
{
	(void)state;
	struct scene scene;
	scene.waits[0] = wait_of(100, "", 1100, 1490, MIGRATION);
	open_scene(&scene, 0);
	memcpy(scene.ledger.statements[0].locks[0].mode, "RowExclusiveLock", 17);
	restart_judge(&scene, 1);
	stall_judge_finish(scene.judge);
	assert_int_equal(stall_judge_stall(scene.judge, 0)->kind, STALL_OF_ROWS);
	assert_string_equal(stall_judge_stall(scene.judge, 0)->relation, "public.orders");
	assert_string_equal(stall_judge_stall(scene.judge, 0)->mode, "RowExclusiveLock");
	close_scene(&scene);
}

/*
 * The statement is over at 1010 ms, and asking its backend takes to 1210 ms: a wait from 1100 ms to the commit at 1500
 * ms is one of 290 ms, and one that ended before 1210 ms is none.
 */
static void test_measuring_is_no_stall(void **state)
{
	(void)state;
	struct scene scene;
	int64_t caused;
	scene.waits[0] = wait_of(101, "public.orders", 1020, 1095, MIGRATION);
	scene.waits[1] = wait_of(100, "public.orders", 1100, 1490, MIGRATION);
	open_scene(&scene, 0);
	scene.ledger.statements[0].end_ns = 1010 * SUPPORT_MS;
	scene.ledger.statements[0].measuring_ns = 200 * SUPPORT_MS;
	restart_judge(&scene, 2);
	assert_int_equal(execute(&scene, 1, 1020, 0, 80, &caused), 0);
	assert_int_equal(caused, 80 * SUPPORT_MS);
	assert_int_equal(execute(&scene, 0, 1100, 0, 400, &caused), 290);
	assert_int_equal(caused, 400 * SUPPORT_MS);
	stall_judge_finish(scene.judge);
	assert_int_equal(stall_judge_count(scene.judge), 1);
	const struct stall *stall = stall_judge_stall(scene.judge, 0);
	assert_int_equal(stall->start_ns, 1100 * SUPPORT_MS);
	assert_int_equal(stall_length_ns(stall), 290 * SUPPORT_MS);
	assert_int_equal(stall->measuring_ns, 110 * SUPPORT_MS);
	assert_int_equal(stall->longest_wait_ns, 290 * SUPPORT_MS);
	assert_int_equal(stall->victims, 1);
	assert_float_equal(stall->blocked_query_s, 0.29, 1e-9);
	assert_int_equal(stall_judge_measuring_waits(scene.judge)->waits, 1);
	assert_true(stall_judge_has_victims(scene.judge, "public.orders"));
	assert_false(stall_judge_has_victims(scene.judge, "public.stock"));
	close_scene(&scene);
}

/* One execution that waits for A, for B, and for A again has two stalls, and is one victim of each. */
static void test_a_victim_counts_once(void **state)
{
	(void)state;
	struct scene scene;
	int64_t caused;
	scene.waits[0] = wait_of(100, "public.a", 1100, 1200, MIGRATION);
	scene.waits[1] = wait_of(101, "public.a", 1150, 1490, MIGRATION);
	scene.waits[2] = wait_of(100, "public.b", 1205, 1300, MIGRATION);
	scene.waits[3] = wait_of(100, "public.a", 1305, 1490, MIGRATION);
	open_scene(&scene, 4);
	(void)execute(&scene, 0, 1100, 0, 401, &caused);
	(void)execute(&scene, 1, 1150, 0, 351, &caused);
	stall_judge_finish(scene.judge);
	assert_int_equal(stall_judge_count(scene.judge), 2);
	assert_string_equal(stall_judge_stall(scene.judge, 0)->relation, "public.a");
	assert_int_equal(stall_judge_stall(scene.judge, 0)->victims, 2);
	assert_int_equal(stall_judge_stall(scene.judge, 1)->victims, 1);
	close_scene(&scene);
}

static void test_advisory_locks_have_a_name(void **state)
{
	(void)state;
	struct scene scene;
	scene.waits[0] = wait_of(100, "", 1100, 1490, MIGRATION);
	(void)snprintf(scene.waits[0].lock_type, sizeof(scene.waits[0].lock_type), "advisory");
	(void)snprintf(scene.waits[0].mode, sizeof(scene.waits[0].mode), "ExclusiveLock");
	open_scene(&scene, 0);
	struct ledger_statement *s = ledger_add_statement(&scene.ledger);
	s->backend_pid = MIGRATION;
	s->sql = mem_strdup("SELECT pg_sleep(?)");
	s->start_ns = 1050 * SUPPORT_MS;
	s->end_ns = s->transaction_end_ns = 1500 * SUPPORT_MS;
	free(scene.ledger.statements[0].sql);
	scene.ledger.statements[0].sql = mem_strdup("SELECT pg_advisory_lock_shared(?)");
	restart_judge(&scene, 1);
	stall_judge_finish(scene.judge);
	const struct stall *stall = stall_judge_stall(scene.judge, 0);
	assert_int_equal(stall->kind, STALL_OF_ADVISORY);
	assert_string_equal(stall->relation, "(advisory lock)");
	assert_string_equal(stall->mode, "ShareLock");
	assert_string_equal(stall_blocks(stall), "statements that wait for");
	assert_int_equal(stall->statement, 0);
	char *text = stall_describe(stall);
	assert_string_equal(text, "statements that waited for an advisory lock that it held,");
	free(text);
	close_scene(&scene);
}

static void lock_also(struct scene *scene, const char *relation, uint32_t oid)
{
	struct ledger_statement *s = &scene->ledger.statements[0];
	struct ledger_lock *lock = ledger_statement_add_lock(s);
	(void)snprintf(lock->relation, sizeof(lock->relation), "%s", relation);
	(void)snprintf(lock->mode, sizeof(lock->mode), "AccessExclusiveLock");
	lock->relation_oid = oid;
	lock->acquired_ns = s->start_ns;
	lock->released_ns = s->end_ns;
}

/* Its own index and a catalog are no exposures; a user's table is one whatever its name begins with. */
static void test_what_is_exposed(void **state)
{
	(void)state;
	struct scene scene;
	open_scene(&scene, 0);
	ledger_names_add(&scene.ledger.statements[0].indexes_built, "public.orders_total_idx");
	lock_also(&scene, "public.orders_total_idx", 16400);
	lock_also(&scene, "pg_catalog.pg_class", 1259);
	lock_also(&scene, "pg_toast.pg_toast_16384", 16387);
	lock_also(&scene, "public.pg_notes", 16410);
	restart_judge(&scene, 0);
	stall_judge_finish(scene.judge);
	assert_int_equal(stall_judge_exposure_count(scene.judge), 2);
	assert_string_equal(stall_judge_exposure(scene.judge, 0)->lock->relation, "public.orders");
	assert_string_equal(stall_judge_exposure(scene.judge, 1)->lock->relation, "public.pg_notes");
	assert_int_equal(stall_judge_exposure(scene.judge, 0)->held_ns, 500 * SUPPORT_MS);
	close_scene(&scene);
}

static void test_modes(void **state)
{
	(void)state;
	assert_int_equal(lock_mode_rank("AccessExclusiveLock"), 8);
	assert_int_equal(lock_mode_rank("ShareUpdateExclusiveLock"), 4);
	assert_int_equal(lock_mode_rank(""), 0);
	assert_string_equal(stall_mode_blocks("ShareRowExclusiveLock"), "writes to");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transitive_closure),
		cmocka_unit_test(test_end_from_completion),
		cmocka_unit_test(test_lock_debt_is_handed_on),
		cmocka_unit_test(test_what_is_not_claimed),
		cmocka_unit_test(test_row_locks_take_the_written_table),
		cmocka_unit_test(test_measuring_is_no_stall),
		cmocka_unit_test(test_a_victim_counts_once),
		cmocka_unit_test(test_advisory_locks_have_a_name),
		cmocka_unit_test(test_what_is_exposed),
		cmocka_unit_test(test_modes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
