/*
 * Writes the reports that the browser and the schema tests look at: make_reports FOLDER makes FOLDER/NAME.json (the
 * verdict) and FOLDER/NAME.{html,md,xml,json} of every run of support_report.h, and of one whose every list is long.
 */
#include "report_formats.h"
#include "support_report.h"

#include "mem.h"

#include <err.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char *folder;

static void save(const struct verdict *verdict, const char *name)
{
	struct error error = ERROR_INIT;
	struct report_context context = {.link = "https://ci.example.com/job/42/artifact/report.html?a=1&b=2"};
	char *path = NULL;
	for (size_t i = 0; i < REPORT_FORMATS; i++) {
		path = mem_printf("%s/%s.%s", folder, name, report_formats[i].file);
		if (report_format_save(&report_formats[i], verdict, &context, path, &error) < 0)
			errx(1, "%s", error.text);
		free(path);
	}
}

int main(int argc, char **argv)
{
	if (argc != 2)
		errx(64, "make_reports FOLDER");
	folder = argv[1];
	for (size_t i = 0; i < SUPPORT_REPORTS; i++) {
		struct verdict *verdict;
		struct support_run *run = support_report_make(&support_reports[i], &verdict);
		char *path = mem_printf("%s/%s.verdict.json", folder, support_reports[i].name);
		if (json_dump_file(verdict->document, path, JSON_INDENT(1)) < 0)
			errx(1, "%s", path);
		free(path);
		save(verdict, support_reports[i].name);
		verdict_free(verdict);
		support_run_free(run);
	}
	struct verdict *huge = support_report_huge(400, 400);
	save(huge, "huge");
	verdict_free(huge);
	return 0;
}
