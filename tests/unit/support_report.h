/*
 * Run directories for tests of reports, one for each outcome, each with a verdict beside it. Every statement in them,
 * recorded or the migration's, holds SUPPORT_REPORT_LITERAL and SUPPORT_REPORT_NUMBER as values: whatever is made of
 * them must hold neither.
 */
#ifndef SUPPORT_REPORT_H
#define SUPPORT_REPORT_H

#include "support_run.h"
#include "verdict.h"

#define SUPPORT_REPORT_LITERAL "Zaphod Beeblebrox"
#define SUPPORT_REPORT_NUMBER  "4815162342"

struct support_report {
	const char *name; /* "hurts", "clear", "cannot_tell", "invalid", "aa", "errors", "long" */
	enum verdict_outcome outcome;
	struct support_run *(*make)(void);
	void (*plan)(struct rollout *rollout); /* what is known of the roll-out; NULL: nothing */
};

#define SUPPORT_REPORTS 7
extern const struct support_report support_reports[SUPPORT_REPORTS];

/* Writes the run, judges it and saves verdict.json; the caller frees *verdict and the run. */
struct support_run *support_report_make(const struct support_report *report, struct verdict **verdict);

/*
 * A document as verdict.json would be if every list had `count` entries with texts of `text_len` characters that are
 * all special to somebody: what reports are bounded against. The caller frees it.
 */
struct verdict *support_report_huge(size_t count, size_t text_len);

#endif
