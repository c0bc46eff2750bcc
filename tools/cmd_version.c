/* rehearse version: which release this is. */
#include "commands.h"
#include "output.h"

static int run(const struct command_call *call, struct error *err)
{
	(void)call;
	(void)err;
	output_text("rehearse %s\n", REHEARSE_VERSION);
	json_t *object = json_pack("{s:s, s:s}", "schema", "rehearse.version/1", "version", REHEARSE_VERSION);
	output_json(object);
	json_decref(object);
	return 0;
}

const struct command cmd_version = {
	.name = "version",
	.summary = "prints the release",
	.arguments = "",
	.run = run,
};
