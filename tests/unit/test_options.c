/* The option tables: every command's are complete and documented, and the parser takes values from where it should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"
#include "commands.h"
#include "help.h"
#include "secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool flag, loud;
static const char *text;
static int64_t number, duration_ns, size_bytes;
static double real;
static struct option_list list;
static int choice;
static const char *const colours[] = {"red", "green", NULL};

static const struct option table[] = {
	OPT_FLAG('f', "flag", &flag, "a flag"),
	OPT_FLAG('l', "loud", &loud, "another"),
	OPT_STRING('t', "text", &text, "TEXT", "a text", .attributes = OPTION_SECRET),
	OPT_INT('n', "number", &number, "N", "a number", .standard = "7", .min = 1, .max = 99),
	OPT_DURATION('d', "duration", &duration_ns, "TIME", "a duration", .standard = "10s"),
	OPT_SIZE(0, "size", &size_bytes, "SIZE", "a size"),
	OPT_DOUBLE(0, "real", &real, "X", "a number", .standard = "1", .real_min = 0.5, .real_max = 2),
	OPT_LIST('m', "migration", &list, "FILE…", "files", .greedy_suffix = ".sql"),
	OPT_ENUM(0, "colour", &choice, "COLOUR", colours, "a colour", .standard = "green"),
	OPT_END,
};
static const struct option *const tables[] = {table, NULL};

/* Parses words parted by blanks; the result's arguments are checked by their count. */
static int parse(const char *line, const struct config *config, struct options_result *result, struct error *err)
{
	static char buffer[1024];
	static char *words[64];
	int count = 0;
	(void)snprintf(buffer, sizeof(buffer), "%s", line);
	char *rest = buffer;
	for (char *word = strsep(&rest, " "); word; word = strsep(&rest, " ")) {
		if (*word)
			words[count++] = word;
	}
	return options_parse(tables, "test", count, words, config, result, err);
}

static void expect_error(const char *line, const char *message)
{
	struct options_result result;
	struct error err = ERROR_INIT;
	assert_int_equal(parse(line, NULL, &result, &err), -ERR_USAGE);
	assert_string_equal(err.text, message);
	options_result_release(&result);
	options_release(tables);
}

static void test_values(void **state)
{
	(void)state;
	struct options_result result;
	struct error err = ERROR_INIT;
	assert_int_equal(parse("a --flag -n5 --duration=1h30m --size 2kB b --real 1.5 --colour=red -t x -- --loud",
			       NULL, &result, &err),
			 0);
	assert_true(flag);
	assert_false(loud);
	assert_int_equal(number, 5);
	assert_int_equal(duration_ns, 5400 * NS_PER_S);
	assert_int_equal(size_bytes, 2048);
	assert_true(real > 1.4 && real < 1.6);
	assert_int_equal(choice, 0);
	assert_string_equal(text, "x");
	assert_int_equal(result.argument_count, 3);
	assert_string_equal(result.arguments[2], "--loud");
	assert_true(options_given(&result, "number"));
	assert_false(options_given(&result, "loud"));
	options_result_release(&result);

	assert_int_equal(parse("", NULL, &result, &err), 0);
	assert_false(flag);
	assert_null(text);
	assert_int_equal(number, 7);
	assert_int_equal(duration_ns, 10 * NS_PER_S);
	assert_int_equal(choice, 1);
	options_result_release(&result);

	assert_int_equal(parse("-fl --no-flag --loud=no", NULL, &result, &err), 0);
	assert_false(flag);
	assert_false(loud);
	options_result_release(&result);
}

static void test_greedy_list(void **state)
{
	(void)state;
	struct options_result result;
	struct error err = ERROR_INIT;
	assert_int_equal(
		parse("-m a.sql b.sql log.csv --migration c --migration=d.sql e.sql --flag f.sql", NULL, &result, &err),
		0);
	assert_int_equal(list.count, 5);
	assert_string_equal(list.items[1], "b.sql");
	assert_string_equal(list.items[2], "c");
	assert_string_equal(list.items[4], "e.sql");
	assert_int_equal(result.argument_count, 2);
	options_result_release(&result);
	options_release(tables);
}

static void test_errors(void **state)
{
	(void)state;
	expect_error("--falg", "unknown option --falg; did you mean --flag?");
	expect_error("--dur=1", "unknown option --dur; did you mean --duration?");
	expect_error("--password=hunter2", "unknown option --password; see --help");
	expect_error("-z", "unknown option -z; see --help");
	expect_error("--number", "--number needs a value: N");
	expect_error("--number 100", "--number: '100' is not a whole number from 1 to 99");
	expect_error("--real 3", "--real: '3' is not a number from 0.5 to 2");
	expect_error("--colour blue", "--colour: 'blue' is none of red, green");
	expect_error("--duration soon", "--duration: 'soon' is not a duration such as 250ms, 10s or 1h30m");
}

/* Writes rehearse.ini's text into a temporary file and loads it. */
static void load_config(const char *content, struct config *config)
{
	char path[] = "/tmp/test_options-XXXXXX";
	struct error err = ERROR_INIT;
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	(void)close(fd);
	assert_int_equal(config_load(path, config, &err), 0);
	(void)unlink(path);
}

static void test_precedence(void **state)
{
	(void)state;
	struct config config;
	struct options_result result;
	struct error err = ERROR_INIT;
	load_config("[rehearse]\nnumber = 1\nduration = 1s\nsize = 1\nmigration = z.sql\n"
		    "[test]\nmigration = a.sql\nmigration = b.sql\nduration = 2s\nsize = 2\nflag = yes\n",
		    &config);
	(void)setenv("REHEARSE_SIZE", "3", 1);
	assert_int_equal(parse("--no-flag", &config, &result, &err), 0);
	assert_int_equal(number, 1);
	assert_int_equal(duration_ns, 2 * NS_PER_S);
	assert_int_equal(size_bytes, 3);
	assert_false(flag);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[0], "a.sql");
	options_result_release(&result);
	assert_int_equal(parse("--size 4 -m c.sql", &config, &result, &err), 0);
	assert_int_equal(size_bytes, 4);
	assert_int_equal(list.count, 1);
	options_result_release(&result);
	(void)unsetenv("REHEARSE_SIZE");
	options_release(tables);
	config_release(&config);
}

static void test_config_sections(void **state)
{
	(void)state;
	struct config config;
	load_config("; a comment\n[thresholds]\nstall.max = warn >= 100ms, fail >= 1s\n"
		    "stall.max{table=orders} = fail >= 50ms\n[other]\na = b\n[thresholds]\nrows.diff: fail > 0\n",
		    &config);
	const struct config_entry *entry = config_next(&config, "thresholds", NULL);
	assert_non_null(entry);
	assert_string_equal(entry->name, "stall.max");
	assert_string_equal(entry->value, "warn >= 100ms, fail >= 1s");
	assert_int_equal(entry->line, 3);
	entry = config_next(&config, "thresholds", entry);
	assert_non_null(entry);
	assert_string_equal(entry->name, "stall.max{table=orders}");
	assert_string_equal(entry->value, "fail >= 50ms");
	entry = config_next(&config, "thresholds", entry);
	assert_non_null(entry);
	assert_string_equal(entry->name, "rows.diff");
	assert_null(config_next(&config, "thresholds", entry));
	config_release(&config);
}

static bool appears_once(const struct option *row, const struct option *const *all)
{
	size_t same_long = 0, same_short = 0;
	for (; *all; all++) {
		for (const struct option *o = *all; o->kind != OPTION_END; o++) {
			same_long += strcmp(o->long_name, row->long_name) == 0;
			same_short += row->short_name && o->short_name == row->short_name;
		}
	}
	return same_long == 1 && same_short <= 1;
}

/* A row that help and manual can show: with words for what it is, and a default that its own parser takes. */
static void check_row(const struct command *command, const struct option *o, const char *man, const char *completion)
{
	print_message("%s --%s\n", command->name, o->long_name);
	assert_true(o->help && strlen(o->help) > 3);
	assert_true(o->help[strlen(o->help) - 1] != '.');
	if (o->kind != OPTION_FLAG)
		assert_true(o->metavar && *o->metavar);
	if (o->kind == OPTION_ENUM)
		assert_true(o->choices && o->choices[0]);
	if (o->attributes & OPTION_HIDDEN)
		return;
	struct strbuf words;
	strbuf_init(&words, 400);
	strbuf_add_str(&words, "\\fB\\-\\-");
	for (const char *c = o->long_name; *c; c++)
		strbuf_addf(&words, "%s%c", *c == '-' ? "\\" : "", *c);
	strbuf_add_str(&words, "\\fR");
	assert_non_null(strstr(man, words.data));
	strbuf_clear(&words);
	strbuf_addf(&words, "--%s", o->long_name);
	assert_non_null(strstr(completion, words.data));
	struct strbuf page;
	strbuf_init(&page, 1 << 20);
	help_format_command(command, &page);
	assert_non_null(strstr(page.data, words.data));
	strbuf_release(&page);
	strbuf_release(&words);
}

static void test_everything_is_documented(void **state)
{
	(void)state;
	struct strbuf man, completion;
	strbuf_init(&man, 4 << 20);
	strbuf_init(&completion, 4 << 20);
	help_format_man("1", &man);
	help_format_completion(&completion);
	assert_false(man.overflow);
	for (size_t i = 0; commands[i]; i++) {
		const struct option *const all[] = {common_options, commands[i]->options, NULL};
		assert_true(commands[i]->summary && *commands[i]->summary);
		assert_non_null(commands[i]->arguments);
		assert_true(commands[i]->arguments_min <= commands[i]->arguments_max);
		for (const struct option *const *t = all; *t; t++) {
			for (const struct option *o = *t; o->kind != OPTION_END; o++) {
				check_row(commands[i], o, man.data, completion.data);
				assert_true(appears_once(o, all));
			}
		}
	}
	strbuf_release(&man);
	strbuf_release(&completion);
}

/* A default that its own parser refuses would only show when somebody runs the command without the option. */
static void test_defaults_parse(void **state)
{
	(void)state;
	for (size_t i = 0; commands[i]; i++) {
		for (const struct option *o = commands[i]->options; o && o->kind != OPTION_END; o++) {
			if (!o->standard)
				continue;
			struct option copy[2] = {*o, OPT_END};
			const struct option *const alone[] = {copy, NULL};
			struct options_result result;
			struct error err = ERROR_INIT;
			char *none[1] = {NULL};
			copy[0].attributes = 0;
			int rc = options_parse(alone, "test", 0, none, NULL, &result, &err);
			if (rc < 0)
				fail_msg("%s --%s: %s", commands[i]->name, o->long_name, err.text);
			options_result_release(&result);
			options_release(alone);
		}
	}
}

static void test_secrets(void **state)
{
	(void)state;
	const struct {
		const char *before, *after;
	} cases[] = {
		{"postgresql://me:pw@host/db", "postgresql://me:xx@host/db"},
		{"--baseline=postgresql://me:p@w@host:5/db", "--baseline=postgresql://me:xxx@host:5/db"},
		{"postgresql://me:p?w#x@host/db", "postgresql://me:xxxxx@host/db"},
		{"postgresql://host/db?user=me&password=abc&sslmode=require",
		 "postgresql://host/db?user=me&password=xxx&sslmode=require"},
		{"postgresql://host:5432/db", "postgresql://host:5432/db"},
		{"postgresql://me@host:5432/db", "postgresql://me@host:5432/db"},
		{"a:b@c", "a:b@c"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char word[200];
		(void)snprintf(word, sizeof(word), "%s", cases[i].before);
		assert_int_equal(secret_scrub(word), strcmp(cases[i].before, cases[i].after) != 0);
		assert_string_equal(word, cases[i].after);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),		cmocka_unit_test(test_greedy_list),
		cmocka_unit_test(test_errors),		cmocka_unit_test(test_precedence),
		cmocka_unit_test(test_config_sections), cmocka_unit_test(test_everything_is_documented),
		cmocka_unit_test(test_defaults_parse),	cmocka_unit_test(test_secrets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
