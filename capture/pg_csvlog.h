/*
 * PostgreSQL's csvlog: 23 columns up to version 12, 24 in 13, 26 from 14 on; the columns that all have are read, and
 * backend_type where it is. Source: PostgreSQL manual, 20.8.4 "Using CSV-Format Log Output", and write_csvlog():
 * strings are quoted with their quotes doubled, numbers and times bare, line ends raw inside quotes.
 */
#ifndef PG_CSVLOG_H
#define PG_CSVLOG_H

#include "log_format.h"

extern const struct log_format pg_csvlog_format;

#endif
