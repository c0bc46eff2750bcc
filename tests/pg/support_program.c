/* For tests that run programs: see support_program.h. */
#include "support_program.h"

#include "process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct strbuf program_said, program_shown;

static __attribute__((constructor)) void begin(void)
{
	strbuf_init(&program_said, (size_t)1 << 20);
	strbuf_init(&program_shown, (size_t)1 << 20);
}

static __attribute__((destructor)) void end(void)
{
	strbuf_release(&program_said);
	strbuf_release(&program_shown);
}

static int run(const char *const *argv, const char *const *environment, struct strbuf *results)
{
	struct error err = ERROR_INIT;
	struct process_options options = PROCESS_OPTIONS_INIT;
	int code = -1;
	options.argv = argv;
	options.environment = environment;
	options.results = results;
	strbuf_clear(&program_said);
	strbuf_clear(&program_shown);
	if (process_run(&options, NULL, &program_said, &code, &err) < 0)
		fail_msg("%s: %s", argv[0], err.text);
	return code;
}

int program_run(const char *const *argv, const char *const *environment)
{
	return run(argv, environment, NULL);
}

int program_run_apart(const char *const *argv, const char *const *environment)
{
	return run(argv, environment, &program_shown);
}

void program_require(int code, int expected)
{
	if (code != expected)
		fail_msg("exit code %d, %d expected:\n%s%s", code, expected, program_shown.data, program_said.data);
}
