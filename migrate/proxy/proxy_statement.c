/*
 * The tool's messages that execute something: see proxy_session.h.
 *
 * A statement that stands alone commits by itself, and at its ReadyForQuery its locks are gone. So it is put between
 * BEGIN and COMMIT of ours where that changes nothing else, as the tracer says by its text (statement_tracer.h). What
 * the tool sees stays the same, in the same order:
 *
 * - a simple query's CommandComplete comes after its commit: it is held back until our COMMIT has worked, and a failed
 *   COMMIT (a deferred constraint) is reported in its place. With the extended protocol the commit belongs to Sync, and
 *   its failure comes behind the CommandComplete.
 * - a statement that the server refuses inside of a transaction all the same is rolled back and sent again, bare; the
 *   first refusal is not passed on.
 * - our BEGIN may come behind the tool's Parse and Bind: it makes the transaction that those began an explicit one.
 * - several statements of one simple query are one transaction, which the server parses before anything runs. They are
 *   sent one by one where that is the same (script_plan.h), so that each is measured: one that fails ends them, as the
 *   server has it.
 * - inside of an explicit transaction a Sync more does nothing. We send one behind an Execute, so that the server is
 *   ready to be asked, and play the server's part after an error: all is passed over until the tool's own Sync.
 */
#include "proxy_session.h"

#include "clock.h"
#include "mem.h"
#include "proxy_ask.h"
#include "proxy_trace.h"
#include "script_plan.h"

static void begin_run(struct proxy_session *session, struct span sent, bool may_rerun)
{
	struct session_run *run = &session->run;
	free(run->message);
	*run = (struct session_run){.active = true, .may_rerun = may_rerun, .sql = sent, .rows = -1};
	run->end_ns = clock_mono_ns();
}

static int wait_cancellable(struct proxy_session *session)
{
	session_set_cancellable(session, true);
	int rc = session_wait_all(session);
	session_set_cancellable(session, false);
	return rc;
}

/* ---- Simple queries ---- */

/* One string of a simple query, sent as it is. */
struct query {
	const char *text; /* NUL behind it */
	size_t len;
	struct span sql; /* of it, what the ledger shows */
	int shift;	 /* characters before it in what the tool sent */
	bool may_wrap;	 /* stands alone: what the tracer says about the manner counts */
	bool in_script;	 /* one of several: outside of a transaction one of ours is to be begun before it */
	bool opens;	 /* a BEGIN: where a transaction of ours is open it is the tool's from now on */
	bool last;	 /* its CommandComplete waits for our COMMIT */
};

static void put_query(struct proxy_session *session, const char *text, size_t len, uint8_t flags)
{
	size_t mark = wire_begin(&session->server.out, 'Q');
	wire_buffer_add(&session->server.out, text, len);
	wire_put_u8(&session->server.out, 0);
	wire_end(&session->server.out, mark);
	session_expect(session, 'Q', flags);
}

static void put_own_query(struct proxy_session *session, const char *sql, uint8_t flags)
{
	put_query(session, sql, strlen(sql), (uint8_t)(PENDING_OURS | flags));
}

static int send_query(struct proxy_session *session, const struct query *query, bool may_rerun)
{
	uint8_t flags = session->own_block && query->opens ? PENDING_UNNOTICED : 0;
	session->own_block = session->own_block && !query->opens;
	if (session->own_block && query->last)
		flags |= PENDING_HIDDEN_TAG;
	begin_run(session, (struct span){query->text, query->len}, may_rerun);
	session->run.shift = query->shift;
	proxy_trace_start(session);
	put_query(session, query->text, query->len, flags);
	if (wait_cancellable(session))
		return -1;
	session->own_block = session->own_block && session->status != 'I';
	return 0;
}

/* The server wants it outside of a transaction. */
static int send_query_bare(struct proxy_session *session, const struct query *query)
{
	session->run.active = false;
	put_own_query(session, "ROLLBACK", 0);
	session->own_block = false;
	wire_buffer_clear(&session->held);
	return send_query(session, query, false);
}

/* Runs it up to where its transaction may end. */
static int run_query(struct proxy_session *session, const struct query *query)
{
	enum statement_manner manner;
	if (proxy_trace_prepare(session, query->sql, &manner))
		return -1;
	bool wraps = query->may_wrap && manner == STATEMENT_WRAPPED && !script_wants_block(query->sql);
	bool begins = ((query->in_script && !query->opens) || wraps) && session->status == 'I' && !session->own_block;
	if (begins) {
		put_own_query(session, "BEGIN", PENDING_LOUD);
		session->own_block = true;
	}
	int rc = send_query(session, query, begins && query->may_wrap);
	if (rc == 0 && session->run.rerun)
		rc = send_query_bare(session, query);
	if (rc == 0)
		proxy_trace_end(session);
	return rc;
}

/* COMMIT or ROLLBACK of a transaction of ours, around simple queries. */
static int end_own_block(struct proxy_session *session)
{
	bool commits = session->status == 'T';
	begin_run(session, span_from_str("COMMIT"), false);
	put_own_query(session, commits ? "COMMIT" : "ROLLBACK", commits ? PENDING_LOUD : 0);
	if (wait_cancellable(session))
		return -1;
	session->own_block = false;
	if (session->run.sqlstate[0]) {
		wire_buffer_clear(&session->held);
		proxy_trace_commit_failed(session);
	}
	return 0;
}

static int finish_query(struct proxy_session *session)
{
	if (session->own_block && end_own_block(session))
		return -1;
	session->run.active = false;
	proxy_trace_settle(session);
	wire_buffer_add(&session->tool.out, wire_buffer_at(&session->held), wire_buffer_len(&session->held));
	wire_buffer_clear(&session->held);
	session_put_ready(session);
	return 0;
}

/* ---- Several statements in one query ---- */

static int count_characters(const char *p, const char *end)
{
	int count = 0;
	for (; p < end; p++)
		count += ((unsigned char)*p & 0xc0) != 0x80; /* UTF-8; in other encodings a position may be off */
	return count;
}

static bool may_split(const struct proxy_session *session, struct script *script)
{
	if (session->status == 'E' || session->unsynced || !session->plain_strings)
		return false;
	return script_plan_split(script, session->status == 'T');
}

static int run_pieces(struct proxy_session *session, const struct script *script)
{
	for (size_t i = 0; i < script->count; i++) {
		const struct span *piece = &script->pieces[i];
		char *text = mem_strndup(piece->p, piece->len);
		struct query query = {.text = text,
				      .len = piece->len,
				      .sql = {text, piece->len},
				      .shift = count_characters(script->text, piece->p),
				      .in_script = true,
				      .opens = script_transaction_word(*piece) == WORD_OPENS,
				      .last = i + 1 == script->count};
		if (i > 0)
			proxy_trace_settle(session);
		int rc = run_query(session, &query);
		bool failed = session->run.sqlstate[0] != '\0';
		session->run.sql = (struct span){NULL, 0};
		free(text);
		if (rc)
			return rc;
		if (failed)
			break;
	}
	return finish_query(session);
}

/* As it came: one entry in the ledger. */
static int run_whole(struct proxy_session *session, const struct script *script, bool single)
{
	struct query query = {.text = script->text,
			      .len = script->len,
			      .sql = single ? script->pieces[0] : (struct span){script->text, script->len},
			      .may_wrap = single,
			      .last = true};
	int rc = run_query(session, &query);
	return rc ? rc : finish_query(session);
}

/* Nothing in it to be executed: the server says EmptyQueryResponse. */
static int run_nothing(struct proxy_session *session, const struct script *script)
{
	session->run.active = false;
	put_query(session, script->text, script->len, 0);
	if (session_wait_all(session))
		return -1;
	session_put_ready(session);
	return 0;
}

/* Too long to be held: it runs as it comes, and the ledger has its beginning. */
static int run_long(struct proxy_session *session, struct wire_message *message)
{
	char *head = mem_strndup(message->body, WIRE_HEAD);
	struct span sql = {head, strlen(head)};
	char *raw = mem_alloc(message->raw_len);
	size_t raw_len = message->raw_len;
	memcpy(raw, message->raw, raw_len);
	enum statement_manner manner;
	int rc = proxy_trace_prepare(session, sql, &manner);
	if (rc == 0) {
		begin_run(session, sql, false);
		proxy_trace_start(session);
		wire_buffer_add(&session->server.out, raw, raw_len);
		session_expect(session, 'Q', 0);
		rc = session_pass_rest(session, message) ? -1 : wait_cancellable(session);
	}
	if (rc == 0) {
		proxy_trace_end(session);
		rc = finish_query(session);
	}
	session->run.sql = (struct span){NULL, 0};
	free(raw);
	free(head);
	return rc;
}

int session_do_query(struct proxy_session *session, struct wire_message *message)
{
	session_send_batch(session);
	statement_names_drop_unnamed(&session->names);
	if (!message->last)
		return run_long(session, message);
	char *text = mem_strndup(message->body, message->len);
	struct script script;
	script_init(&script, text);
	int rc;
	if (script.count == 0)
		rc = run_nothing(session, &script);
	else if (script.count == 1)
		rc = run_whole(session, &script, true);
	else if (may_split(session, &script) && proxy_ask_parses(session, text))
		rc = run_pieces(session, &script);
	else
		rc = session->end == SESSION_GOES_ON ? run_whole(session, &script, false) : -1;
	session->run.sql = (struct span){NULL, 0};
	script_release(&script);
	free(text);
	return rc;
}

/* ---- The extended protocol ---- */

static void put_execute(struct proxy_session *session, const char *portal, uint32_t max_rows, uint8_t flags)
{
	size_t mark = wire_begin(&session->server.out, 'E');
	wire_put_string(&session->server.out, portal);
	wire_put_u32(&session->server.out, max_rows);
	wire_end(&session->server.out, mark);
	session_expect(session, 'E', flags);
}

/* An Execute, with all that is needed to send it again. */
struct execution {
	char *portal;
	uint32_t max_rows;
	char *text;
	size_t text_len;
	char *bind; /* NULL: it cannot be sent again */
	size_t bind_len;
	bool is_copy;	 /* it may take data in */
	bool opens;	 /* it is a BEGIN */
	bool inherits;	 /* … of a transaction that we began: the server will say that one is in progress */
	bool sync_taken; /* the tool's Sync went with it */
};

static bool is_open(const struct proxy_session *session)
{
	return session->own_block || session->status == 'T';
}

/*
 * Behind an Execute outside of an explicit transaction: the tool's own Sync when it has come already, else Flush. A
 * Sync before a COPY's data would be passed over by the server.
 */
static void push_answer(struct proxy_session *session, struct execution *execution)
{
	char next;
	struct wire_message sync;
	if (!execution->is_copy && wire_reader_peek(&session->tool.in, &next) && next == 'S' &&
	    wire_reader_next(&session->tool.in, &sync) == 1) {
		session_send_sync(session, 0);
		execution->sync_taken = true;
	} else {
		wire_put_empty(&session->server.out, 'H');
	}
}

static int send_execution(struct proxy_session *session, struct execution *execution, bool may_rerun)
{
	begin_run(session, (struct span){execution->text, execution->text_len}, may_rerun);
	proxy_trace_start(session);
	put_execute(session, execution->portal, execution->max_rows, execution->inherits ? PENDING_UNNOTICED : 0);
	/* Behind a BEGIN, too, a Sync does nothing; and that its transaction is open is learned from the answer only.
	 */
	bool open = is_open(session) || execution->opens;
	if (!open)
		push_answer(session, execution);
	else if (execution->is_copy)
		wire_put_empty(&session->server.out, 'H');
	else
		session_send_sync(session, PENDING_OURS);
	if (wait_cancellable(session))
		return -1;
	if (open && session->unsynced) {
		session_send_sync(session, PENDING_OURS);
		if (session_wait_all(session))
			return -1;
	}
	session->own_block = session->own_block && session->status != 'I';
	return 0;
}

/* The server wants it outside of a transaction: its Bind went with that. */
static int send_execution_bare(struct proxy_session *session, struct execution *execution)
{
	session->run.active = false;
	proxy_ask_send(session, "ROLLBACK", 0);
	session_send_sync(session, PENDING_OURS);
	if (session_wait_all(session))
		return -1;
	session->own_block = session->skipping = false;
	wire_buffer_add(&session->server.out, execution->bind, execution->bind_len);
	session_expect(session, 'B', PENDING_OURS | PENDING_LOUD);
	return send_execution(session, execution, false);
}

static int run_execution(struct proxy_session *session, struct execution *execution)
{
	enum statement_manner manner;
	struct span sql = {execution->text, execution->text_len};
	if (proxy_trace_prepare(session, sql, &manner))
		return -1;
	bool begins = manner == STATEMENT_WRAPPED && session->status == 'I' && !session->own_block &&
		      !script_wants_block(sql);
	if (begins) {
		proxy_ask_send(session, "BEGIN", PENDING_LOUD);
		session->own_block = true;
	}
	session_send_batch(session);
	int rc = send_execution(session, execution, begins && execution->bind);
	if (rc == 0 && session->run.rerun)
		rc = send_execution_bare(session, execution);
	if (rc == 0)
		proxy_trace_end(session);
	return rc;
}

/* More rows of a portal: the statement is in the ledger already. */
static int run_on(struct proxy_session *session, struct execution *execution)
{
	begin_run(session, (struct span){execution->text, execution->text_len}, false);
	session_send_batch(session);
	put_execute(session, execution->portal, execution->max_rows, 0);
	push_answer(session, execution);
	return wait_cancellable(session);
}

static int execute(struct proxy_session *session, struct execution *execution, bool goes_on)
{
	struct span sql = {execution->text, execution->text_len};
	execution->is_copy = script_begins_with(sql, "COPY");
	execution->opens = script_transaction_word(sql) == WORD_OPENS;
	execution->inherits = execution->opens && session->own_block;
	if (execution->opens)
		session->own_block = false; /* where ours is open it is the tool's from now on */
	int rc = goes_on ? run_on(session, execution) : run_execution(session, execution);
	struct named_portal *portal = statement_names_portal(&session->names, execution->portal);
	if (portal)
		portal->suspended = session->run.suspended;
	session->run.active = false;
	session->run.sql = (struct span){NULL, 0};
	if (rc || !execution->sync_taken)
		return rc;
	return session_do_sync(session);
}

int session_do_execute(struct proxy_session *session, const struct wire_message *message)
{
	struct wire_cursor cursor = wire_cursor_over(message->body, message->len);
	const char *name = wire_get_string(&cursor);
	uint32_t max_rows = wire_get_u32(&cursor);
	if (cursor.failed)
		return session_fail(session, SESSION_BROKEN, "an Execute that is none");
	struct execution execution = {.portal = mem_strdup(name), .max_rows = max_rows};
	int rc = 0;
	if (is_open(session) && session->unsynced) { /* the server is to be ready for questions */
		session_send_sync(session, PENDING_OURS);
		rc = session_wait_all(session);
	}
	if (rc == 0 && !session->skipping) {
		const struct named_portal *portal = statement_names_portal(&session->names, execution.portal);
		/* what is not known may do anything: like EXECUTE in SQL */
		execution.text = mem_strdup(portal && portal->text ? portal->text : "EXECUTE unknown_statement");
		execution.text_len = strlen(execution.text);
		if (portal && portal->bind) {
			execution.bind = mem_alloc(portal->bind_len + 1);
			memcpy(execution.bind, portal->bind, portal->bind_len);
			execution.bind_len = portal->bind_len;
		}
		rc = execute(session, &execution, portal && portal->suspended);
	}
	free(execution.portal);
	free(execution.text);
	free(execution.bind);
	return rc;
}

/* The tool's Sync commits what we began. */
static int end_own_block_extended(struct proxy_session *session)
{
	bool failed = session->skipping || session->status == 'E';
	if (!failed) {
		begin_run(session, span_from_str("COMMIT"), false);
		proxy_ask_send(session, "COMMIT", PENDING_LOUD);
		session_send_sync(session, PENDING_OURS);
		if (wait_cancellable(session))
			return -1;
		if (session->run.sqlstate[0])
			proxy_trace_commit_failed(session);
	}
	if (session->status != 'I') {
		proxy_ask_send(session, "ROLLBACK", 0);
		session_send_sync(session, PENDING_OURS);
		if (session_wait_all(session))
			return -1;
	}
	session->own_block = false;
	return 0;
}

int session_do_sync(struct proxy_session *session)
{
	session_send_batch(session);
	if (session->own_block) {
		if (end_own_block_extended(session))
			return -1;
	} else if (session->unsynced) { /* else the server has just been synchronised, and its answer is known */
		session_send_sync(session, 0);
		if (session_wait_all(session))
			return -1;
	}
	session->skipping = false;
	session->run.active = false;
	proxy_trace_settle(session);
	session_put_ready(session);
	return 0;
}

/* The fast path: a function called by its number. */
int session_do_function(struct proxy_session *session, struct wire_message *message)
{
	static const char text[] = "SELECT fast_path_function_call()";
	enum statement_manner manner;
	session_send_batch(session);
	char *raw = mem_alloc(message->raw_len);
	size_t raw_len = message->raw_len;
	memcpy(raw, message->raw, raw_len);
	int rc = proxy_trace_prepare(session, span_from_str(text), &manner);
	if (rc == 0) {
		begin_run(session, span_from_str(text), false);
		proxy_trace_start(session);
		wire_buffer_add(&session->server.out, raw, raw_len);
		session_expect(session, 'F', 0);
		rc = session_pass_rest(session, message) ? -1 : wait_cancellable(session);
	}
	free(raw);
	if (rc)
		return rc;
	proxy_trace_end(session);
	return finish_query(session);
}
