/*
 * Bash completion: see help.h. The script is plain case statements made from the tables, so that it needs neither the
 * program nor the bash-completion package when a key is pressed.
 */
#include "help.h"

static void add_option_words(struct strbuf *out, const struct option *table)
{
	for (const struct option *o = table; o && o->kind != OPTION_END; o++) {
		if (!(o->attributes & OPTION_HIDDEN))
			strbuf_addf(out, " --%s", o->long_name);
	}
}

/* Options whose value is one of a few words. */
static void add_choices(struct strbuf *out, const char *name, const struct option *table)
{
	for (const struct option *o = table; o && o->kind != OPTION_END; o++) {
		if (o->kind != OPTION_ENUM || (o->attributes & OPTION_HIDDEN))
			continue;
		strbuf_addf(out, "\t%s:--%s) words=\"", name, o->long_name);
		for (size_t i = 0; o->choices[i]; i++)
			strbuf_addf(out, "%s%s", i ? " " : "", o->choices[i]);
		strbuf_add_str(out, "\" ;;\n");
	}
}

void help_format_completion(struct strbuf *out)
{
	strbuf_add_str(out,
		       "# bash completion for rehearse; made by `rehearse help --completion`\n"
		       "_rehearse()\n{\n"
		       "\tlocal word=\"${COMP_WORDS[COMP_CWORD]}\" before=\"${COMP_WORDS[COMP_CWORD-1]}\" words=\"\"\n"
		       "\tCOMPREPLY=()\n"
		       "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\twords=\"");
	for (size_t i = 0; commands[i]; i++) {
		strbuf_addf(out, "%s%s", i ? " " : "", commands[i]->name);
		if (commands[i]->alias)
			strbuf_addf(out, " %s", commands[i]->alias);
	}
	strbuf_add_str(out, "\"\n"
			    "\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
			    "\t\treturn\n\tfi\n"
			    "\tcase \"${COMP_WORDS[1]}:$before\" in\n");
	for (size_t i = 0; commands[i]; i++)
		add_choices(out, commands[i]->name, commands[i]->options);
	strbuf_add_str(out, "\tesac\n"
			    "\tif [ -n \"$words\" ]; then\n"
			    "\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
			    "\t\treturn\n\tfi\n"
			    "\tcase \"${COMP_WORDS[1]}\" in\n");
	for (size_t i = 0; commands[i]; i++) {
		strbuf_addf(out, "\t%s%s%s) words=\"", commands[i]->name, commands[i]->alias ? "|" : "",
			    commands[i]->alias ? commands[i]->alias : "");
		add_option_words(out, commands[i]->options);
		add_option_words(out, common_options);
		strbuf_add_str(out, "\" ;;\n");
	}
	strbuf_add_str(out, "\tesac\n"
			    "\tcase \"$word\" in\n"
			    "\t-*) mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\") ;;\n"
			    "\t*) compopt -o default ;;\n"
			    "\tesac\n}\n"
			    "complete -F _rehearse rehearse\n");
}
