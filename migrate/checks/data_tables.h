/*
 * What of a database's data can be compared: its tables (a partitioned one is one table), materialized views and
 * sequences, their columns, the key that pairs their rows, and how many rows statements wrote so far.
 */
#ifndef DATA_TABLES_H
#define DATA_TABLES_H

#include "check_results.h"
#include "check_server.h"
#include "value_class.h"

#include <stdbool.h>
#include <stdint.h>

struct data_column {
	char *name;
	char *type;	 /* as in SQL: numeric(10,2) */
	char *base_type; /* name in pg_type, a domain's base: "numeric" */
	int number;	 /* attnum */
	bool in_key;
};

struct data_table {
	uint32_t oid;
	char *schema;
	char *name;
	char *shown; /* schema.name, quoted where SQL needs it */
	char kind;   /* relkind: r, p, m; f for a foreign table, which is not read */
	int64_t size_bytes;
	bool populated;
	int64_t partitions; /* that hold rows, of a partitioned table */
	struct data_column *columns;
	size_t column_count;
	size_t column_capacity;
	struct check_writes writes; /* since the server's statistics began */
};

struct data_sequence {
	char *shown;
	int64_t increment;
	bool known; /* we may read it */
	bool used;  /* it has given a value */
	int64_t last_value;
};

struct data_tables {
	struct data_table *tables;
	size_t count;
	size_t capacity;
	struct data_sequence *sequences;
	size_t sequence_count;
	size_t sequence_capacity;
	int64_t large_objects;
};

/* The caller releases *tables whatever the result. Statistics are as of now: what backends had not told yet included
 * after a short wait. */
int data_tables_load(struct check_server *server, struct data_tables *tables, struct error *err);
void data_tables_release(struct data_tables *tables);
/* By name, else, with oid, the one that had another name when it was cloned; NULL. */
const struct data_table *data_tables_find(const struct data_tables *tables, const char *shown);
const struct data_table *data_tables_find_oid(const struct data_tables *tables, uint32_t oid);
const struct data_sequence *data_tables_find_sequence(const struct data_tables *tables, const char *shown);
const struct data_column *data_table_find_column(const struct data_table *table, const char *name);
bool data_table_has_key(const struct data_table *table);
/* What came on top of an earlier count; never negative. */
struct check_writes check_writes_since(const struct check_writes *now, const struct check_writes *then);
bool check_writes_any(const struct check_writes *writes);

#endif
