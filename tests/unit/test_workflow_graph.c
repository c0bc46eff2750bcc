/* Migrations as a graph: batches, what is refused, and time in proportion to size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"
#include "mem.h"
#include "workflow_graph.h"

#define DEPENDENCIES_MAX 4

/* A node by its id and the ids that it needs, parted by blanks. */
struct plan_node {
	const char *id;
	const char *needs;
};

struct plan {
	struct workflow_node *nodes;
	char **texts;
	size_t count;
};

static void plan_init(struct plan *plan, const struct plan_node *from, size_t count)
{
	plan->count = count;
	plan->nodes = mem_zalloc(count, sizeof(*plan->nodes));
	plan->texts = mem_zalloc(count * (DEPENDENCIES_MAX + 1), sizeof(*plan->texts));
	for (size_t i = 0; i < count; i++) {
		char **list = plan->texts + i * (DEPENDENCIES_MAX + 1);
		char *copy = list[DEPENDENCIES_MAX] = mem_strdup(from[i].needs);
		size_t used = 0;
		for (char *word = strsep(&copy, " "); word; word = strsep(&copy, " ")) {
			if (*word)
				list[used++] = word;
		}
		plan->nodes[i] = (struct workflow_node){
			.id = from[i].id, .depends_on = list, .depends_on_count = used, .place = from[i].id};
	}
}

static void plan_release(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		free(plan->texts[i * (DEPENDENCIES_MAX + 1) + DEPENDENCIES_MAX]);
	free(plan->nodes);
	free(plan->texts);
}

/* "325aeb43 | 712ccb88 aae3b790 | b1b3605f": batches, and in each the ids in the nodes' order. */
static void batches_text(const struct plan *plan, const struct workflow_graph *graph, const bool *wanted, char *out,
			 size_t size)
{
	bool *all = mem_zalloc(plan->count + 1, sizeof(*all));
	size_t *batch = mem_zalloc(plan->count + 1, sizeof(*batch));
	for (size_t i = 0; i < plan->count; i++)
		all[i] = true;
	size_t count = workflow_graph_batches(graph, wanted ? wanted : all, batch), used = 0;
	*out = '\0';
	for (size_t b = 0; b < count; b++) {
		used += (size_t)snprintf(out + used, size - used, "%s", b ? " |" : "");
		for (size_t i = 0; i < plan->count; i++) {
			if (batch[i] == b)
				used += (size_t)snprintf(out + used, size - used, "%s%s", used ? " " : "",
							 plan->nodes[i].id);
		}
	}
	free(batch);
	free(all);
}

static void expect_batches(const struct plan_node *nodes, size_t count, const char *expected)
{
	struct plan plan;
	struct workflow_graph graph;
	struct error err = ERROR_INIT;
	char text[400];
	plan_init(&plan, nodes, count);
	assert_int_equal(workflow_graph_build(&graph, plan.nodes, count, NULL, NULL, &err), 0);
	batches_text(&plan, &graph, NULL, text, sizeof(text));
	assert_string_equal(text, expected);
	workflow_graph_release(&graph);
	plan_release(&plan);
}

static void expect_error(const struct plan_node *nodes, size_t count, const char *expected)
{
	struct plan plan;
	struct workflow_graph graph;
	struct error err = ERROR_INIT;
	plan_init(&plan, nodes, count);
	assert_int_equal(workflow_graph_build(&graph, plan.nodes, count, NULL, NULL, &err), -ERR_DATA);
	assert_string_equal(err.text, expected);
	workflow_graph_release(&graph);
	plan_release(&plan);
}

/* B9, in every order in which its four could have been merged. */
static void test_example(void **state)
{
	(void)state;
	static const struct plan_node nodes[4] = {
		{"325aeb43", ""}, {"712ccb88", "325aeb43"}, {"aae3b790", "325aeb43"}, {"b1b3605f", "712ccb88"}};
	expect_batches(nodes, 4, "325aeb43 | 712ccb88 aae3b790 | b1b3605f");
	for (unsigned order = 0; order < 256; order++) {
		unsigned place[4] = {order & 3, order >> 2 & 3, order >> 4 & 3, order >> 6 & 3};
		if (((1U << place[0]) | (1U << place[1]) | (1U << place[2]) | (1U << place[3])) != 15)
			continue;
		struct plan_node moved[4];
		for (size_t i = 0; i < 4; i++)
			moved[place[i]] = nodes[i];
		bool swapped = place[1] > place[2]; /* the siblings stand as they were given */
		expect_batches(moved, 4,
			       swapped ? "325aeb43 | aae3b790 712ccb88 | b1b3605f"
				       : "325aeb43 | 712ccb88 aae3b790 | b1b3605f");
	}
}

static void test_shapes(void **state)
{
	(void)state;
	static const struct plan_node diamond[] = {{"d", "b c"}, {"c", "a"}, {"b", "a"}, {"a", ""}};
	static const struct plan_node apart[] = {{"a", ""}, {"b", ""}, {"c", ""}};
	static const struct plan_node uneven[] = {{"a", ""}, {"b", "a"}, {"c", "b"}, {"d", "a c"}, {"e", ""}};
	expect_batches(diamond, 4, "a | c b | d");
	expect_batches(apart, 3, "a b c");
	expect_batches(uneven, 5, "a e | b | c | d");
	expect_batches(apart, 0, "");
}

static void test_refused(void **state)
{
	(void)state;
	static const struct plan_node cycle[] = {{"aaaaaaaa", ""},
						 {"bbbbbbbb", "aaaaaaaa dddddddd"},
						 {"cccccccc", "bbbbbbbb"},
						 {"dddddddd", "aaaaaaaa cccccccc"},
						 {"eeeeeeee", "dddddddd"}};
	static const struct plan_node self[] = {{"aaaaaaaa", ""}, {"bbbbbbbb", "aaaaaaaa bbbbbbbb"}};
	static const struct plan_node missing[] = {{"aaaaaaaa", ""}, {"bbbbbbbb", "aaaaaaab"}};
	static const struct plan_node nowhere[] = {{"aaaaaaaa", ""}, {"bbbbbbbb", "00112233"}};
	static const struct plan_node twice[] = {{"aaaaaaaa", ""}, {"bbbbbbbb", ""}, {"aaaaaaaa", ""}};
	expect_error(cycle, 5,
		     "bbbbbbbb: depends on itself by a cycle: bbbbbbbb needs dddddddd needs cccccccc needs bbbbbbbb");
	expect_error(self, 2, "bbbbbbbb: depends on itself");
	expect_error(missing, 2, "bbbbbbbb: depends on aaaaaaab, which is not there; did you mean aaaaaaaa?");
	expect_error(nowhere, 2, "bbbbbbbb: depends on 00112233, which is not there");
	expect_error(twice, 3, "aaaaaaaa: has the id aaaaaaaa, and so has aaaaaaaa");
}

static bool known_is(void *context, const char *id)
{
	return strcmp(context, id) == 0;
}

/* A dependency whose files are gone, and which the database has. */
static void test_known(void **state)
{
	(void)state;
	static const struct plan_node nodes[] = {{"a", "gone"}, {"b", "a gone"}};
	struct plan plan;
	struct workflow_graph graph;
	struct error err = ERROR_INIT;
	char gone[] = "gone", other[] = "other";
	plan_init(&plan, nodes, 2);
	assert_int_equal(workflow_graph_build(&graph, plan.nodes, 2, known_is, other, &err), -ERR_DATA);
	workflow_graph_release(&graph);
	assert_int_equal(workflow_graph_build(&graph, plan.nodes, 2, known_is, gone, &err), 0);
	assert_int_equal(graph.level_count, 2);
	workflow_graph_release(&graph);
	plan_release(&plan);
}

static void test_parts(void **state)
{
	(void)state;
	static const struct plan_node nodes[] = {{"a", ""}, {"b", "a"}, {"c", "b"}, {"d", "a"}, {"e", "c d"}};
	struct plan plan;
	struct workflow_graph graph;
	struct error err = ERROR_INIT;
	char text[100];
	plan_init(&plan, nodes, 5);
	assert_int_equal(workflow_graph_build(&graph, plan.nodes, 5, NULL, NULL, &err), 0);
	bool up[5] = {[2] = true}, down[5] = {[1] = true}, pending[5] = {[0] = true, [2] = true, [4] = true};
	workflow_graph_mark_dependencies(&graph, up);
	assert_true(up[0] && up[1] && up[2] && !up[3] && !up[4]);
	workflow_graph_mark_dependants(&graph, down);
	assert_true(!down[0] && down[1] && down[2] && !down[3] && down[4]);
	/* What lies between two of them and is not wanted still keeps their order, and takes no batch. */
	batches_text(&plan, &graph, pending, text, sizeof(text));
	assert_string_equal(text, "a | c | e");
	workflow_graph_release(&graph);
	plan_release(&plan);
}

/* Ten thousand in a chain, each with three more dependencies: in milliseconds, given backwards too. */
static void test_big(void **state)
{
	(void)state;
	enum {
		COUNT = 10000
	};
	static char ids[COUNT][9];
	static char *needs[COUNT][4];
	struct workflow_node *nodes = mem_zalloc(COUNT, sizeof(*nodes));
	struct workflow_graph graph;
	struct error err = ERROR_INIT;
	for (unsigned i = 0; i < COUNT; i++)
		(void)snprintf(ids[i], sizeof(ids[i]), "%08x", i * 2654435761U);
	for (size_t i = 0; i < COUNT; i++) {
		size_t used = 0;
		for (size_t back = 1; back <= 1000 && back <= i; back *= 10)
			needs[i][used++] = ids[i - back];
		nodes[COUNT - 1 - i] = (struct workflow_node){
			.id = ids[i], .depends_on = needs[i], .depends_on_count = used, .place = ids[i]};
	}
	int64_t start_ns = clock_mono_ns();
	assert_int_equal(workflow_graph_build(&graph, nodes, COUNT, NULL, NULL, &err), 0);
	assert_int_equal(graph.level_count, COUNT);
	assert_true(clock_mono_ns() - start_ns < 2 * NS_PER_S); /* a square would take minutes under a sanitizer */
	assert_int_equal(graph.order[0], COUNT - 1);
	workflow_graph_release(&graph);
	char *back[] = {ids[COUNT - 1]};
	nodes[COUNT - 1].depends_on = back; /* the first one needs the last one: a cycle as long as it gets */
	nodes[COUNT - 1].depends_on_count = 1;
	assert_int_equal(workflow_graph_build(&graph, nodes, COUNT, NULL, NULL, &err), -ERR_DATA);
	assert_non_null(strstr(err.text, " more … needs "));
	workflow_graph_release(&graph);
	free(nodes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_example), cmocka_unit_test(test_shapes), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_known),	cmocka_unit_test(test_parts),  cmocka_unit_test(test_big),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
