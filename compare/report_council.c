/*
 * What a database council fills in and signs: plain form fields, which work in a browser without a script and become
 * lines on paper. Beside them what is signed for, because that page may be filed without the others.
 */
#include "report_sections.h"

#include "html_text.h"
#include "report_facts.h"
#include "report_parts.h"
#include "report_rollout.h"

static void add_subject(struct strbuf *out, const char *name, const char *value)
{
	strbuf_addf(out, "<div><dt>%s</dt><dd>", name);
	html_add_cut(out, *value ? value : "not recorded", REPORT_CELL_MAX);
	strbuf_add_str(out, "</dd></div>");
}

static void add_decision(struct strbuf *out)
{
	static const char *const words[] = {"approve", "approve with conditions", "reject"};
	strbuf_add_str(out, "<fieldset><legend>Decision</legend>");
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		strbuf_addf(out,
			    "<label class=\"choice\"><input type=\"radio\" name=\"decision\" value=\"%s\"> %s</label>",
			    words[i], words[i]);
	strbuf_add_str(out, "</fieldset>");
}

static void add_field(struct strbuf *out, const char *id, const char *label, int rows)
{
	strbuf_addf(out, "<p class=\"field\"><label for=\"council-%s\">%s</label>", id, label);
	if (rows > 1)
		strbuf_addf(out, "<textarea id=\"council-%s\" rows=\"%d\"></textarea></p>", id, rows);
	else
		strbuf_addf(out, "<input id=\"council-%s\" type=\"text\" autocomplete=\"off\"></p>", id);
}

void report_add_council(const json_t *document, struct strbuf *out)
{
	const json_t *environment = json_object_get(document, "environment");
	strbuf_add_str(out, "<p class=\"soft\">For print, or to be filled in here before printing; nothing is sent or "
			    "kept.</p><dl class=\"subject\">");
	add_subject(out, "Verdict", report_outcome_word(report_outcome(document)));
	add_subject(out, "Commit", html_text_of(environment, "commit"));
	add_subject(out, "Run", html_text_of(environment, "start_time"));
	add_subject(out, "Traffic", report_replay_name(document));
	report_rollout_add_subjects(document, out, add_subject);
	strbuf_add_str(out, "</dl>");
	report_add_blackouts(document, out);
	strbuf_add_str(out, "<div class=\"council\">");
	add_field(out, "reviewers", "Reviewers", 2);
	add_decision(out);
	add_field(out, "conditions", "Conditions", 3);
	strbuf_add_str(out, "<div class=\"two\">");
	add_field(out, "date", "Date", 1);
	add_field(out, "signature", "Signature", 1);
	strbuf_add_str(out, "</div></div>");
}
