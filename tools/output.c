/* The only functions that print: see output.h. */
#include "output.h"

#include "clock.h"
#include "logging.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <unistd.h>

static struct {
	char command[40];
	bool json;
	bool quiet;
	bool verbose;
	bool terminal; /* stderr is one */
	bool hung_up;  /* whoever read stdout has gone */
} settings;

/* One lock for stderr: messages and the progress bar share it. Recursion does not happen. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct {
	bool active;
	bool drawn;	   /* a bar stands on the terminal's last lines */
	int drawn_details; /* lines below it */
	char detail[1024];
	char what[80];
	char unit[16];
	double unit_size;
	int64_t done;
	int64_t total;
	int64_t begin_ns;
	int64_t next_ns; /* nothing is drawn before */
} progress;

static void erase_bar(void)
{
	if (progress.drawn && progress.drawn_details > 0)
		(void)fprintf(stderr, "\r\033[%dA\033[J", progress.drawn_details);
	else if (progress.drawn)
		(void)fputs("\r\033[K", stderr);
	progress.drawn = false;
	progress.drawn_details = 0;
}

static void print_line(const char *prefix, const char *line)
{
	(void)pthread_mutex_lock(&lock);
	erase_bar();
	(void)fprintf(stderr, "%s%s\n", prefix, line);
	(void)pthread_mutex_unlock(&lock);
}

static void log_sink(enum log_level level, const char *line, void *context)
{
	(void)context;
	if (level == LOG_LEVEL_DEBUG && !settings.verbose)
		return;
	if (level <= LOG_LEVEL_INFO && settings.quiet)
		return;
	print_line(level >= LOG_LEVEL_WARN ? "rehearse: warning: " : "", line);
}

void output_init(const char *command, bool json, bool quiet, bool verbose)
{
	(void)snprintf(settings.command, sizeof(settings.command), "%s", command);
	settings.json = json;
	settings.quiet = quiet;
	settings.verbose = verbose;
	settings.terminal = isatty(STDERR_FILENO) == 1;
	log_set_sink(log_sink, NULL);
}

/* Takes what a write to stdout returned: later errors of the stream no longer say that the reader has gone. */
static void note_written(int rc)
{
	if (rc < 0 && errno == EPIPE)
		settings.hung_up = true;
}

bool output_finish(void)
{
	note_written(fflush(stdout));
	bool good = !ferror(stdout) || settings.hung_up;
	(void)fflush(stderr);
	return good;
}

bool output_hung_up(void)
{
	return settings.hung_up;
}

void output_text(const char *format, ...)
{
	if (settings.json)
		return;
	va_list args;
	va_start(args, format);
	note_written(vfprintf(stdout, format, args));
	va_end(args);
}

void output_string(const char *text)
{
	if (!settings.json)
		note_written(fputs(text, stdout));
}

void output_json(const json_t *object)
{
	if (!settings.json)
		return;
	note_written(json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12)));
	(void)fputc('\n', stdout);
}

static void print_list(const char *prefix, const char *format, va_list args)
{
	char line[2048];
	(void)vsnprintf(line, sizeof(line), format, args);
	print_line(prefix, line);
}

void output_message(const char *format, ...)
{
	if (settings.quiet)
		return;
	va_list args;
	va_start(args, format);
	print_list("", format, args);
	va_end(args);
}

void output_warning(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	print_list("rehearse: warning: ", format, args);
	va_end(args);
}

void output_error(const struct error *err)
{
	char prefix[64];
	(void)snprintf(prefix, sizeof(prefix), "rehearse: %s%s", settings.command, *settings.command ? ": " : "");
	print_line(prefix, err->text);
}

void output_progress_begin(const char *what, const char *unit, double unit_size)
{
	(void)pthread_mutex_lock(&lock);
	(void)snprintf(progress.what, sizeof(progress.what), "%s", what);
	(void)snprintf(progress.unit, sizeof(progress.unit), "%s", unit);
	progress.unit_size = unit_size > 0 ? unit_size : 1;
	progress.done = 0;
	progress.total = 0;
	progress.begin_ns = clock_mono_ns();
	progress.next_ns = progress.begin_ns + (settings.terminal ? 1 : 10) * NS_PER_S;
	progress.drawn = false;
	progress.drawn_details = 0;
	progress.detail[0] = '\0';
	progress.active = !settings.quiet;
	(void)pthread_mutex_unlock(&lock);
}

static void format_seconds(double seconds, char *out, size_t size)
{
	long long whole = seconds > 359999 ? 359999 : (long long)(seconds + 0.5);
	if (whole >= 3600)
		(void)snprintf(out, size, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
	else
		(void)snprintf(out, size, "%lld:%02lld", whole / 60, whole % 60);
}

/* A line on a terminal may not wrap, or it could not be erased: it is cut at the last column but one. */
static void draw_line(const char *line, size_t len)
{
	struct winsize size = {0};
	size_t room = len;
	if (settings.terminal && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
		room = size.ws_col - 1U;
	size_t bytes = 0;
	for (size_t columns = 0; bytes < len; bytes++) {
		columns += ((unsigned char)line[bytes] & 0xc0) != 0x80;
		if (columns > room)
			break;
	}
	(void)fwrite(line, 1, bytes, stderr);
}

/* "  60.1 MB/s"; nothing where time itself is what passes. */
static void format_rate(double rate, char *out, size_t size)
{
	*out = '\0';
	if (strcmp(progress.unit, "s") != 0)
		(void)snprintf(out, size, "  %.1f %s/s", rate / progress.unit_size, progress.unit);
}

/* "parsing log  [=====>    ]  52 %  120/230 MB  60.1 MB/s  0:02 left" */
static void draw_progress(int64_t now_ns)
{
	double elapsed_s = ns_to_s(now_ns - progress.begin_ns);
	double rate = elapsed_s > 0 ? (double)progress.done / elapsed_s : 0;
	double done = (double)progress.done / progress.unit_size;
	char line[400], time_text[32], rate_text[64];
	format_rate(rate, rate_text, sizeof(rate_text));
	if (progress.total <= 0) {
		format_seconds(elapsed_s, time_text, sizeof(time_text));
		(void)snprintf(line, sizeof(line), "%s  %.0f %s%s  %s", progress.what, done, progress.unit, rate_text,
			       time_text);
		draw_line(line, strlen(line));
		return;
	}
	double share = (double)progress.done / (double)progress.total;
	share = share > 1 ? 1 : share < 0 ? 0 : share;
	char bar[26];
	int filled = (int)(share * 24);
	memset(bar, ' ', 24);
	memset(bar, '=', (size_t)filled);
	if (filled < 24)
		bar[filled] = '>';
	bar[24] = '\0';
	if (rate > 0)
		format_seconds((double)(progress.total - progress.done) / rate, time_text, sizeof(time_text));
	else
		(void)snprintf(time_text, sizeof(time_text), "-:--");
	(void)snprintf(line, sizeof(line), "%s  [%s] %3.0f %%  %.0f/%.0f %s%s  %s left", progress.what, bar,
		       share * 100, done, (double)progress.total / progress.unit_size, progress.unit, rate_text,
		       time_text);
	draw_line(line, strlen(line));
}

static void draw_detail(void)
{
	for (const char *line = progress.detail; *line;) {
		size_t len = strcspn(line, "\n");
		(void)fputs(settings.terminal ? "\n" : "  | ", stderr);
		draw_line(line, len);
		progress.drawn_details++;
		line += len + (line[len] == '\n');
	}
}

void output_progress_detail(const char *lines)
{
	(void)pthread_mutex_lock(&lock);
	(void)snprintf(progress.detail, sizeof(progress.detail), "%s", lines);
	(void)pthread_mutex_unlock(&lock);
}

void output_progress(int64_t done, int64_t total)
{
	int64_t now_ns = clock_mono_ns();
	(void)pthread_mutex_lock(&lock);
	progress.done = done;
	progress.total = total;
	if (progress.active && now_ns >= progress.next_ns) {
		erase_bar();
		draw_progress(now_ns);
		draw_detail();
		progress.drawn = settings.terminal;
		if (!settings.terminal)
			(void)fputc('\n', stderr);
		(void)fflush(stderr);
		progress.next_ns = now_ns + (settings.terminal ? NS_PER_S / 10 : 10 * NS_PER_S);
	}
	(void)pthread_mutex_unlock(&lock);
}

void output_progress_end(void)
{
	(void)pthread_mutex_lock(&lock);
	erase_bar();
	progress.active = false;
	(void)pthread_mutex_unlock(&lock);
}
