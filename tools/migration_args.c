/* How a migration is run, by its options: see migration_args.h. */
#include "migration_args.h"

static int check_together(const struct migration_args *args, struct error *err)
{
	if ((args->files.count > 0) + (args->command != NULL) + (args->alembic != NULL) > 1)
		return error_set(err, ERR_USAGE, "give one of --migration, --migration-command and --alembic");
	if (!args->alembic && (args->alembic_revision || args->alembic_x.count > 0))
		return error_set(err, ERR_USAGE, "%s needs --alembic FOLDER",
				 args->alembic_revision ? "--alembic-revision" : "-x");
	if (!args->alembic && !args->command && (args->network || args->url_variables.count > 0))
		return error_set(err, ERR_USAGE, "%s is for --migration-command and --alembic",
				 args->network ? "--open-network" : "--url-variable");
	for (size_t i = 0; i < args->url_variables.count; i++) {
		const char *name = args->url_variables.items[i];
		if (!*name || strchr(name, '='))
			return error_set(err, ERR_USAGE, "--url-variable: '%s' is not a variable's name", name);
	}
	return 0;
}

static void describe_tools(struct migration_plan *plan, const struct migration_args *args)
{
	plan->command = (struct tool_command){.shell = args->command,
					      .url_variables = args->url_variables.items,
					      .url_variable_count = args->url_variables.count,
					      .open_network = args->network};
	plan->alembic = (struct alembic_project){.directory = args->alembic,
						 .revision = args->alembic_revision,
						 .x = args->alembic_x.items,
						 .x_count = args->alembic_x.count,
						 .url_variables = args->url_variables.items,
						 .url_variable_count = args->url_variables.count,
						 .open_network = args->network};
}

int migration_plan_load(struct migration_plan *plan, const struct migration_args *args, struct error *err)
{
	memset(plan, 0, sizeof(*plan));
	migration_init(&plan->files);
	int rc = check_together(args, err);
	if (rc == 0)
		rc = migration_load(&plan->files, args->files.items, args->files.count, err);
	describe_tools(plan, args);
	plan->way = (struct migration_way){.command = args->command ? &plan->command : NULL,
					   .alembic = args->alembic ? &plan->alembic : NULL,
					   .files = &plan->files};
	if (rc < 0)
		return rc;
	rc = migration_runner_check(&plan->way, err);
	return rc < 0 ? error_context(err, "%s", args->command ? "--migration-command" : "--alembic") : 0;
}

void migration_plan_release(struct migration_plan *plan)
{
	migration_release(&plan->files);
	memset(plan, 0, sizeof(*plan));
}
