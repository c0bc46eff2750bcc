/* A migration's statements with ours among them: see workflow_script.h. */
#include "workflow_script.h"

#include "clock.h"
#include "mem.h"
#include "workflow_sql.h"

void workflow_script_release(struct workflow_script *script)
{
	migration_release(&script->all);
	migration_release(&script->own);
	free(script->numbers);
	memset(script, 0, sizeof(*script));
}

bool workflow_script_is_own(const char *file)
{
	return file && strcmp(file, WORKFLOW_OWN_FILE) == 0;
}

static void add_statement(struct workflow_script *script, const struct migration_statement *statement)
{
	struct migration *all = &script->all;
	bool own = workflow_script_is_own(statement->file);
	if (all->statement_count == script->capacity) {
		script->capacity = script->capacity ? script->capacity * 2 : 16;
		all->statements = mem_realloc(all->statements, script->capacity, sizeof(*all->statements));
		script->numbers = mem_realloc(script->numbers, script->capacity, sizeof(*script->numbers));
	}
	script->team_count += !own;
	script->numbers[all->statement_count] = own ? 0 : script->team_count;
	all->statements[all->statement_count++] = *statement;
}

static int add_own(struct workflow_script *script, const char *sql, struct error *err)
{
	size_t first = script->own.statement_count;
	int rc = migration_add_text(&script->own, WORKFLOW_OWN_FILE, sql, strlen(sql), err);
	for (size_t i = first; i < script->own.statement_count && rc == 0; i++)
		add_statement(script, &script->own.statements[i]);
	return rc;
}

static int add_timeout(struct workflow_script *script, const char *scope, int64_t timeout_ns, struct error *err)
{
	char sql[80];
	/* Rounded up: 0 would be none at all. */
	long long ms = (long long)((timeout_ns + NS_PER_MS - 1) / NS_PER_MS);
	(void)snprintf(sql, sizeof(sql), "SET %slock_timeout = %lld", scope, ms);
	return add_own(script, sql, err);
}

static int add_team(struct workflow_script *script, const struct migration *sql, int64_t lock_timeout_ns,
		    bool in_transaction, struct error *err)
{
	int rc = 0;
	for (size_t i = 0; i < sql->statement_count && rc == 0; i++) {
		unsigned kind = workflow_sql_look(sql->statements[i].sql);
		/*
		 * CONCURRENTLY waits for old transactions with locks as well, and blocks nobody meanwhile: a limit
		 * would only leave an invalid index behind.
		 */
		bool patient = !in_transaction && lock_timeout_ns > 0 && (kind & WORKFLOW_SQL_CONCURRENTLY);
		if (patient)
			rc = add_timeout(script, "", 0, err);
		add_statement(script, &sql->statements[i]);
		if (rc == 0 && patient)
			rc = add_timeout(script, "", lock_timeout_ns, err);
	}
	return rc;
}

int workflow_script_build(struct workflow_script *script, const struct migration *sql, int64_t lock_timeout_ns,
			  const char *history, struct error *err)
{
	memset(script, 0, sizeof(*script));
	int rc = history ? add_own(script, "BEGIN", err) : 0;
	if (rc == 0)
		rc = add_timeout(script, history ? "LOCAL " : "", lock_timeout_ns, err);
	if (rc == 0 && history)
		rc = add_own(script, history, err);
	if (rc == 0)
		rc = add_team(script, sql, lock_timeout_ns, history != NULL, err);
	if (rc == 0 && history)
		rc = add_own(script, "COMMIT", err);
	return rc;
}
