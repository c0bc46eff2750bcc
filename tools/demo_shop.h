/* The demo's shop: its tables, its data, and the migrations that somebody wants to run on them. */
#ifndef DEMO_SHOP_H
#define DEMO_SHOP_H

#include "demo_server.h"

#define DEMO_ROLE      "shop"
#define DEMO_CUSTOMERS 50000
#define DEMO_PRODUCTS  10000
#define DEMO_ORDERS    500000
#define DEMO_LINES     1500000

/* Creates database, tables, rows, indexes and constraints; analyses and checkpoints. */
int demo_shop_create(const struct demo_server *server, struct error *err);

struct demo_migration {
	const char *name;     /* of the run and its report's folder */
	const char *outcome;  /* what the verdict should be */
	const char *question; /* for the reader */
	const char *sql;
};
/* Closed by a row without a name. */
extern const struct demo_migration demo_migrations[];

#endif
