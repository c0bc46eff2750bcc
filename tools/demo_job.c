/* A program that runs beside us: see demo_job.h. */
#include "demo_job.h"
#include "stop_flag.h"

#include <string.h>

enum {
	OUTPUT_MAX = 256 * 1024
};

static void *run_job(void *context)
{
	struct demo_job *job = context;
	job->rc = process_run(&job->options, &job->stop, &job->output, &job->exit_code, &job->err);
	job->ended = true;
	return NULL;
}

int demo_job_start(struct demo_job *job, const struct process_options *options, struct error *err)
{
	memset(job, 0, sizeof(*job));
	job->options = *options;
	strbuf_init(&job->output, OUTPUT_MAX);
	int code = pthread_create(&job->thread, NULL, run_job, job);
	if (code != 0)
		return error_set(err, ERR_INTERNAL, "%s: cannot start a thread: %s", options->argv[0], strerror(code));
	job->started = true;
	return 0;
}

void demo_job_stop(struct demo_job *job)
{
	stop_flag_set(&job->stop);
}

const char *demo_last_line(struct strbuf *output)
{
	while (output->len > 0 && (output->data[output->len - 1] == '\n' || output->data[output->len - 1] == ' '))
		strbuf_truncate(output, output->len - 1);
	const char *end = output->len > 0 ? strrchr(output->data, '\n') : NULL;
	return end ? end + 1 : output->data;
}

int demo_job_wait(struct demo_job *job, struct error *err)
{
	if (!job->started)
		return 0;
	(void)pthread_join(job->thread, NULL);
	job->started = false;
	int rc = 0;
	if (job->rc < 0) {
		*err = job->err;
		rc = job->rc;
	} else if (job->exit_code != 0) {
		rc = error_set(err, ERR_INTERNAL, "%s: exit code %d: %s", job->options.argv[0], job->exit_code,
			       demo_last_line(&job->output));
	}
	strbuf_release(&job->output);
	return rc;
}
