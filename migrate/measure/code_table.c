/* The users' own code in a database: see code_table.h. */
#include "code_table.h"

#include "mem.h"

void code_table_init(struct code_table *table)
{
	memset(table, 0, sizeof(*table));
}

static void free_trigger(struct code_table *table, struct known_trigger *trigger)
{
	HASH_DEL(table->triggers, trigger);
	free(trigger->name);
	free(trigger);
}

static void forget_functions(struct code_table *table)
{
	struct known_function *function, *next;
	HASH_ITER (hh, table->functions, function, next) {
		HASH_DEL(table->functions, function);
		free(function->name);
		free(function);
	}
}

void code_table_forget_calls(struct code_table *table)
{
	struct function_calls *calls, *next;
	HASH_ITER (hh, table->calls, calls, next) {
		HASH_DEL(table->calls, calls);
		free(calls);
	}
}

void code_table_release(struct code_table *table)
{
	struct known_trigger *trigger, *next;
	HASH_ITER (hh, table->triggers, trigger, next)
		free_trigger(table, trigger);
	forget_functions(table);
	code_table_forget_calls(table);
}

static void take_trigger(struct code_table *table, const PGresult *result, int row, struct ledger_statement *statement)
{
	uint32_t oid = (uint32_t)pg_conn_int(result, row, 0, 0);
	bool enabled = PQgetvalue(result, row, 3)[0] == 't';
	struct known_trigger *trigger = NULL;
	HASH_FIND(hh, table->triggers, &oid, sizeof(oid), trigger);
	bool added = !trigger;
	if (added) {
		trigger = mem_zalloc(1, sizeof(*trigger));
		trigger->oid = oid;
		trigger->enabled = true;
		HASH_ADD(hh, table->triggers, oid, sizeof(oid), trigger);
	}
	free(trigger->name);
	trigger->name = mem_strdup(PQgetvalue(result, row, 2));
	trigger->table_oid = (uint32_t)pg_conn_int(result, row, 1, 0);
	trigger->internal = PQgetvalue(result, row, 4)[0] == 't';
	trigger->seen = table->looks;
	if (statement && added && !trigger->internal)
		ledger_names_add(&statement->triggers_added, trigger->name);
	if (statement && trigger->enabled && !enabled)
		ledger_names_add(&statement->triggers_disabled, trigger->name);
	if (statement && !trigger->enabled && enabled)
		ledger_names_add(&statement->triggers_enabled, trigger->name);
	trigger->enabled = enabled;
}

void code_table_take_triggers(struct code_table *table, const PGresult *result, struct ledger_statement *statement,
			      bool (*looked_at)(const void *context, uint32_t table_oid), const void *context)
{
	table->looks++;
	for (int i = 0; i < PQntuples(result); i++)
		take_trigger(table, result, i, statement);
	struct known_trigger *trigger, *next;
	HASH_ITER (hh, table->triggers, trigger, next) {
		if (trigger->seen == table->looks || !looked_at(context, trigger->table_oid))
			continue;
		if (statement && !trigger->internal)
			ledger_names_add(&statement->triggers_dropped, trigger->name);
		free_trigger(table, trigger);
	}
}

static bool looked_at_all(const void *context, uint32_t table_oid)
{
	(void)context;
	(void)table_oid;
	return true;
}

static void add_function(struct code_table *table, const char *name)
{
	struct known_function *function = mem_zalloc(1, sizeof(*function));
	function->name = mem_strdup(name);
	HASH_ADD_KEYPTR(hh, table->functions, function->name, strlen(function->name), function);
}

int code_table_load(struct code_table *table, PGconn *conn, struct ledger_statement *statement, struct error *err)
{
	PGresult *result = NULL;
	int rc = pg_conn_query(conn, "SELECT " CODE_TRIGGER_COLUMNS CODE_TRIGGER_FROM, "reading the triggers", &result,
			       err);
	if (rc)
		return rc;
	code_table_take_triggers(table, result, statement, looked_at_all, NULL);
	PQclear(result);
	rc = pg_conn_query(conn, "SELECT DISTINCT proname FROM pg_catalog.pg_proc WHERE oid >= 16384",
			   "reading the functions", &result, err);
	if (rc)
		return rc;
	forget_functions(table);
	for (int i = 0; i < PQntuples(result); i++)
		add_function(table, PQgetvalue(result, i, 0));
	PQclear(result);
	return 0;
}

void code_table_take_calls(struct code_table *table, const PGresult *result, struct ledger_statement *statement)
{
	for (int i = 0; i < PQntuples(result); i++) {
		uint32_t oid = (uint32_t)pg_conn_int(result, i, 0, 0);
		int64_t now = pg_conn_int(result, i, 2, 0);
		struct function_calls *calls = NULL;
		HASH_FIND(hh, table->calls, &oid, sizeof(oid), calls);
		if (!calls) {
			calls = mem_zalloc(1, sizeof(*calls));
			calls->oid = oid;
			HASH_ADD(hh, table->calls, oid, sizeof(oid), calls);
		}
		if (statement && now != calls->before) /* fewer: handed in meanwhile, and begun anew */
			ledger_names_add(&statement->functions, PQgetvalue(result, i, 1));
		calls->before = now;
	}
}

bool code_table_has_function(const void *table, struct span name)
{
	struct known_function *function = NULL;
	HASH_FIND(hh, ((const struct code_table *)table)->functions, name.p, name.len, function);
	return function != NULL;
}
