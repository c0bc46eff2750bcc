/*
 * The page's bricks: what sections are made of (report_sections.h). Whatever a document holds is escaped here.
 */
#ifndef REPORT_PARTS_H
#define REPORT_PARTS_H

#include "strbuf.h"

/* Cells of an open table's row; the section writes <tr> and </tr>. */
void report_cell_text(struct strbuf *out, const char *text);
void report_cell_number(struct strbuf *out, double value);
void report_cell_ms(struct strbuf *out, double ms);
/* A statement, cut; "" is "(no statement)". */
void report_cell_sql(struct strbuf *out, const char *sql);
/* "hurts", "cannot_tell", "pass" …: coloured by its name, in words. */
void report_cell_result(struct strbuf *out, const char *result);

/* "a|#b|c" as the head of a table, # for a column of numbers, with the id of the heading that names it. */
void report_table_open(struct strbuf *out, const char *id, const char *heads);
void report_table_close(struct strbuf *out);

/* A quiet line where a table would stand. Not escaped: the text is ours. */
void report_add_none(struct strbuf *out, const char *text);
/* A sentence whose `parts` are code. */
void report_add_sentence(struct strbuf *out, const char *text);

#endif
