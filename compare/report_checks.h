/* The report's section on what was checked beside the replay: rollback, schema, data. See report_sections.h. */
#ifndef REPORT_CHECKS_H
#define REPORT_CHECKS_H

#include "strbuf.h"

#include <jansson.h>

void report_add_checks(const json_t *document, struct strbuf *out);

#endif
