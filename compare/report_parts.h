/*
 * The page's bricks: what sections are made of (report_sections.h). Whatever a document holds is escaped here, and cut:
 * a page has to stay readable and below 3 MB, whatever the run.
 */
#ifndef REPORT_PARTS_H
#define REPORT_PARTS_H

#include "strbuf.h"

#include <jansson.h>
#include <stdbool.h>

#define REPORT_ROWS_MAX 200 /* of a table */
#define REPORT_CELL_MAX 300 /* characters of a cell, or of one of its parts */

/* Cells of an open table's row; report_table_add() writes <tr> and </tr>. */
void report_cell_text(struct strbuf *out, const char *text);
void report_cell_number(struct strbuf *out, double value);
void report_cell_ms(struct strbuf *out, double ms);
/* Seconds since the run's start; – for what is no number. */
void report_cell_time(struct strbuf *out, const json_t *seconds);
/* A statement; "" is "(no statement)". */
void report_cell_sql(struct strbuf *out, const char *sql);
/* "hurts", "cannot_tell", "pass" …: coloured by its name, in words. */
void report_cell_result(struct strbuf *out, const char *result);

/*
 * A table of those entries of a list that shown() takes (NULL: all), a row each: row() writes the cells. heads is
 * "a|#b|c", # for a column of numbers; id is that of the heading that names the table. At most REPORT_ROWS_MAX rows and
 * a line that says how many more there are; total is how many there were before the document's list was cut, or 0.
 * Returns how many rows there are; without any there is no table.
 */
size_t report_table_add(struct strbuf *out, const char *id, const char *heads, const json_t *list, double total,
			bool (*shown)(const json_t *entry), void (*row)(const json_t *entry, struct strbuf *out));
/* By hand, where rows come from more than one list. */
void report_table_open(struct strbuf *out, const char *id, const char *heads);
void report_table_close(struct strbuf *out);

/* A quiet line where a table would stand. Not escaped: the text is ours. */
void report_add_none(struct strbuf *out, const char *text);
/* A sentence whose `parts` are code. */
void report_add_sentence(struct strbuf *out, const char *text);

#endif
