#!/usr/bin/env python3
"""Makes the logs in this folder from a real PostgreSQL, so that the tests read what a server writes.

A server in a temporary folder runs the same traffic under three settings: pgbench (simple and prepared), psql, and
the odd cases over the bare protocol (names with blanks, portals, NULLs, errors, cancels, fast path, login failures).
Variants of other versions are derived: 23 columns (9.0-12), 24 (13), and "Parameters:" as of 16.
The trio_* logs are one run each in three formats at once: csvlog, jsonlog and stderr with a prefix of its own.

    make_logs.py [FOLDER [SHAPE…]]      needs PostgreSQL 15; as root it runs the server as user postgres
"""
import csv, os, pwd, shutil, socket, struct, subprocess, sys, tempfile, threading, time

BIN = "/usr/lib/postgresql/15/bin"
HERE = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__)))
BASE = dict(log_destination="csvlog", logging_collector="on", log_connections="on", log_disconnections="on",
            log_parameter_max_length="-1", log_parameter_max_length_on_error="-1", log_timezone="UTC",
            log_checkpoints="on", fsync="off", lc_messages="C", log_lock_waits="on", log_rotation_age="0")
SHAPES = {
    "statement_all": dict(log_statement="all"),
    "min_duration": dict(log_min_duration_statement="0"),
    "all_duration": dict(log_statement="all", log_duration="on"),
    "all_min_duration": dict(log_statement="all", log_min_duration_statement="0"),
    "cut_parameters": dict(log_min_duration_statement="0", log_parameter_max_length="16"),
}
MORE = dict(log_destination="csvlog,jsonlog,stderr", log_replication_commands="on", log_temp_files="0",
            deadlock_timeout="50ms", wal_level="logical")
SHAPES.update({
    "trio_rds": dict(MORE, log_min_duration_statement="0", log_line_prefix="%t:%r:%u@%d:[%p]:"),
    "trio_aurora": dict(MORE, log_statement="all", log_duration="on",
                        log_line_prefix="%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a"),
    "trio_debian": dict(MORE, log_statement="all", log_error_verbosity="verbose", log_hostname="on",
                        log_line_prefix="%m [%p] %q%u@%d "),
    "trio_padded": dict(MORE, log_min_duration_statement="0",
                        log_line_prefix="%n|%-12u|%10d|%-6p|%-18a|%i|%h|%b|%e|%Q|%%|%q%c> "),
})


def as_postgres():
    if os.getuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return dict(user=user.pw_uid, group=user.pw_gid, extra_groups=[])


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Wire:
    """One connection that speaks protocol 3.0 itself, because no client lets one send odd things."""

    def __init__(self, port, user="postgres", database="shop", application="wire"):
        self.port = port
        self.s = socket.create_connection(("127.0.0.1", port))
        body = b"".join(x.encode() + b"\0" for x in
                        ("user", user, "database", database, "application_name", application)) + b"\0"
        self.s.sendall(struct.pack("!ii", len(body) + 8, 196608) + body)
        self.buf = b""
        self.key = None
        self.sync_wait()

    def message(self):
        while len(self.buf) < 5 or len(self.buf) < 1 + struct.unpack("!i", self.buf[1:5])[0]:
            data = self.s.recv(65536)
            if not data:
                return b"", b""
            self.buf += data
        n = 1 + struct.unpack("!i", self.buf[1:5])[0]
        kind, body, self.buf = self.buf[:1], self.buf[5:n], self.buf[n:]
        return kind, body

    def sync_wait(self):
        while True:
            kind, body = self.message()
            if kind == b"K":
                self.key = body
            if kind in (b"Z", b"", b"G"):
                return kind

    def send(self, kind, body):
        self.s.sendall(kind + struct.pack("!i", len(body) + 4) + body)

    def query(self, text, wait=True):
        self.send(b"Q", text + b"\0")
        return self.sync_wait() if wait else None

    def parse(self, name, text):
        self.send(b"P", name + b"\0" + text + b"\0" + b"\0\0")

    def bind(self, portal, name, values):
        body = portal + b"\0" + name + b"\0\0\0" + struct.pack("!h", len(values))
        for v in values:
            body += struct.pack("!i", -1) if v is None else struct.pack("!i", len(v)) + v
        self.send(b"B", body + b"\0\0")

    def execute(self, portal=b"", rows=0):
        self.send(b"E", portal + b"\0" + struct.pack("!i", rows))

    def sync(self):
        self.send(b"S", b"")
        self.sync_wait()

    def run(self, name, text, values, portal=b""):
        self.parse(name, text)
        self.bind(portal, name, values)
        self.execute(portal)
        self.sync()

    def cancel(self):
        with socket.create_connection(("127.0.0.1", self.port)) as s:
            s.sendall(struct.pack("!ii", 16, 80877102) + self.key)
            s.recv(1)

    def close(self):
        self.send(b"X", b"")
        self.s.close()


def odd_cases(port):
    w = Wire(port, application="odd \"app\", with: [things]")
    w.query(b"SELECT 'it''s', E'a\\'b\\nc', $$dollar 'quote'$$, $tag$x $$ y$tag$, U&'d\\0061t' /* c /* nested */ 'x' */")
    w.query(b"SELECT 'two\nlines', -5, 1.5e-3, '\xc3\xa9\xe2\x80\xa8'; -- a comment, with \"quotes\"")
    w.query(b"SELECT 1; SELECT 2; SELECT 'three;'")
    w.query(b"")
    w.query(b";")
    w.query(b"/* only a comment */")
    w.query(b"SELECT * FROM nowhere WHERE id = 7")
    w.query(b"SELEC 1")
    w.query(b"SELECT 1/0")
    w.query(b"BEGIN")
    w.query(b"SELECT 1/0")
    w.query(b"SELECT 2")
    w.query(b"ROLLBACK")
    w.query(b"DO $$BEGIN RAISE LOG 'statement: DELETE FROM orders'; RAISE LOG 'duration: 1.000 ms  statement: DROP TABLE "
            b"orders'; RAISE LOG 'disconnection: session time: 0:00:00'; RAISE LOG 'execute S_1: SELECT $1' "
            b"USING DETAIL = 'parameters: $1 = ''1'''; RAISE WARNING 'a warning'; END$$")
    w.query(b"SELECT '2026-11-21 20:08:01.123 UTC,\"u\",\"d\",1,\"[local]\",65.1,1,\"x\",\n2026-11-21 20:08:01.123 UTC,"
            b"\"u\",\"d\",1,\"[local]\",65.1,1,\"x\"'")
    w.query(b"PREPARE p1 (int) AS SELECT $1 + 1")
    w.query(b"EXECUTE p1 (41)")
    w.query(b"DEALLOCATE p1")
    w.query(b"CREATE FUNCTION twice(i int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT i * 2; SELECT i + i; END; "
            b"SELECT twice(2)")
    # prepared: NULL, quotes, newlines, empty, dots, odd names, portals, fetches, parse without execute
    w.run(b"", b"SELECT $1::text, $2::text, $3::int", [b"it's", None, b"7"])
    w.run(b"S_1", b"INSERT INTO notes (body, n) VALUES ($1, $2)", [b"line one\nline, \"two\"", b"-1"])
    w.bind(b"", b"S_1", [b"", None]); w.execute(); w.sync()
    w.bind(b"", b"S_1", [b"natural dots...", b"3"]); w.execute(); w.sync()
    w.bind(b"", b"S_1", [b"$2 = 'x', $3 = NULL", b"4"]); w.execute(); w.sync()
    w.run(b"name with blanks: and colon", b"SELECT n FROM notes WHERE n = $1", [b"1"])
    w.run(b"a/b", b"SELECT 'slash' || $1::text", [b"x"])
    w.run(b"<unnamed>", b"SELECT 'not unnamed'", [])
    w.run(b"l" * 1500, b"SELECT count(*) FROM notes", [])
    w.query(b"BEGIN")
    w.parse(b"S_2", b"SELECT g FROM generate_series(1, $1) AS g"); w.bind(b"C_3", b"S_2", [b"5"])
    w.execute(b"C_3", 2); w.sync()
    w.execute(b"C_3", 2); w.sync()
    w.execute(b"C_3", 0); w.sync()
    w.query(b"COMMIT")
    w.parse(b"never", b"SELECT 'never executed'"); w.sync()
    w.run(b"", b"SELECT 1 / $1::int", [b"0"])             # fails when executed
    w.run(b"", b"SELECT $1::int", [b"no number"])         # fails at bind
    w.run(b"", b"SELECT syntax error $1", [b"1"])         # fails at parse
    w.run(b"d1", b"INSERT INTO notes (n, body) VALUES ($1, $2)", [b"1", b"key"])
    # fast path: int4pl is 177
    w.send(b"F", struct.pack("!ihhhi", 177, 1, 1, 2, 4) + struct.pack("!i", 1) + struct.pack("!i", 4) +
           struct.pack("!i", 2) + struct.pack("!h", 1)); w.sync_wait()
    w.query(b"COPY notes (body, n) TO STDOUT", wait=False)
    w.sync_wait()
    # CopyInResponse first, then rows
    w.query(b"COPY notes (body, n) FROM STDIN")
    w.send(b"d", b"copied\t9\n"); w.send(b"c", b""); w.sync_wait()
    w.query(b"COPY notes (body, n) FROM STDIN")
    w.send(b"f", b"changed my mind\0"); w.sync_wait()
    # a cancel by the user, and a timeout
    for text in (b"SELECT pg_sleep(30)",):
        w.query(text, wait=False)
        time.sleep(0.3)
        w.cancel()
        w.sync_wait()
    w.parse(b"", b"SELECT pg_sleep($1)"); w.bind(b"", b"", [b"30"]); w.execute(); w.send(b"S", b"")
    time.sleep(0.3)
    w.cancel()
    w.sync_wait()
    w.query(b"SET statement_timeout = '50ms'")
    w.query(b"SELECT pg_sleep(5)")
    w.query(b"RESET statement_timeout")
    # two values that a parameter limit of 16 cuts
    w.run(b"", b"SELECT $1::text, $2::text", [b"abcdefghijklmnopqrstuvwxyz", b"short"])
    w.run(b"", b"SELECT $1::text", [b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"])
    w.close()
    # LATIN1 in a client that says so
    w = Wire(port, application="")
    w.query(b"SET client_encoding = 'LATIN1'")
    w.query(b"SELECT 'caf\xe9'")
    w.close()
    # a session that is killed in mid-statement, one that fails to log in, one that just goes away
    w = Wire(port)
    k = Wire(port)
    k.query(b"BEGIN")
    t = threading.Thread(target=lambda: k.query(b"SELECT pg_sleep(60)"))
    t.start()
    time.sleep(0.3)
    w.query(b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' "
            b"AND pid <> pg_backend_pid()")
    t.join()
    try:
        Wire(port, database="no_such_database")
    except OSError:
        pass
    w.query(b"BEGIN")
    w.s.close()
    time.sleep(0.2)
    # parallel worker error, lock wait
    w = Wire(port)
    w.query(b"SET force_parallel_mode = on")
    w.query(b"SELECT 1/(n-n) FROM notes")
    w.close()


def more_cases(port):
    """What else stands in a log, and names that a prefix can hardly hold."""
    w = Wire(port)
    w.query(b'CREATE ROLE "o@d:d, [us""er]" SUPERUSER LOGIN')
    w.query(b'CREATE DATABASE "d@t: [a]b""ase"')
    o = Wire(port, user='o@d:d, [us"er]', database='d@t: [a]b"ase', application="a]:LOG:  b")
    o.query(b"SELECT 'odd names'")
    o.run(b"", b"SELECT $1::int / 0", [b"3"])
    o.close()
    w.query(b"SELECT 'a line\n2026-11-21 20:08:01 UTC:10.0.0.1(5):u@d:[7]:LOG:  statement: DROP TABLE forged\n"
            b"\tand a tab\n\nLOG:  duration: 1.000 ms  statement: DROP TABLE forged\nSTATEMENT:  SELECT forged'")
    w.query(b"SELECT 'no\nsuch' FROM nowhere WHERE a = 'x\n\ty'")
    w.query(b"DO $$BEGIN RAISE EXCEPTION 'deadlock detected' USING DETAIL = E'two\nlines', HINT = 'a hint'; END$$")
    w.query(b"DO $$BEGIN RAISE LOG E'2026\nLOG:  statement: DROP TABLE forged'; END$$")
    w.query(b"SET work_mem = '64kB'")
    w.query(b"SELECT count(*) FROM (SELECT g FROM generate_series(1, 20000) g ORDER BY g DESC OFFSET 1) s")
    w.query(b"LOAD 'auto_explain'")
    w.query(b"SET auto_explain.log_min_duration = 0")
    w.query(b"SELECT 'explained'")
    w.query(b"RESET auto_explain.log_min_duration")
    w.query(b"BEGIN; LOCK TABLE notes")
    v = Wire(port)
    t = threading.Thread(target=lambda: v.query(b"INSERT INTO notes VALUES ('waited', 5)"))
    t.start()
    time.sleep(0.3)
    w.query(b"COMMIT")
    t.join()
    v.query(b"SET lock_timeout = '80ms'")
    w.query(b"BEGIN; LOCK TABLE notes")
    v.query(b"SELECT count(*) FROM notes")
    w.query(b"ROLLBACK")
    v.query(b"BEGIN")
    v.query(b"SELECT 1/0")
    v.run(b"", b"SELECT $1::text", [b"in a failed transaction"])
    v.query(b"ROLLBACK")
    v.query(b"SET log_parameter_max_length_on_error = 0")
    v.run(b"", b"SELECT 7 / $1::int", [b"0"])
    v.close()
    w.close()
    time.sleep(0.1)
    subprocess.run([BIN + "/psql", "-qXAt", "host=127.0.0.1 port=%d user=postgres dbname=shop replication=database" % port],
                   input=b"IDENTIFY_SYSTEM;\nSELECT 'walsender';\n", stdout=subprocess.DEVNULL, check=True)
    time.sleep(0.1)


def one_shape(name, settings, data, port, env):
    with open(data + "/postgresql.conf", "a") as f:
        for key, value in {**BASE, **settings, "port": port, "log_filename": name + ".log"}.items():
            f.write("%s = '%s'\n" % (key, value))
    subprocess.run([BIN + "/pg_ctl", "-D", data, "-w", "-l", data + "/start.log", "start"], check=True, cwd=data,
                   stdout=subprocess.DEVNULL, **as_postgres())
    try:
        for ending in ("csv", "log", "json"):
            if os.path.exists(data + "/log/" + name + "." + ending):
                with open(data + "/log/" + name + "." + ending, "w"):
                    pass
        url = ["-h", "127.0.0.1", "-p", str(port), "-U", "postgres"]
        if name != "cut_parameters":
            for mode in ("simple", "prepared"):
                subprocess.run([BIN + "/pgbench", *url, "-n", "-M", mode, "-c", "3", "-t", "4", "shop"], check=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
        subprocess.run([BIN + "/psql", *url, "-qX", "shop"], input=b"TRUNCATE notes;\nSELECT 'psql';\n", check=True,
                       stdout=subprocess.DEVNULL, env=env)
        odd_cases(port)
        extra = b""
        if name.startswith("trio"):
            more_cases(port)
            extra = b'DROP DATABASE "d@t: [a]b""ase";\nDROP ROLE "o@d:d, [us""er]";\n'
        subprocess.run([BIN + "/psql", *url, "-qX", "shop"], input=b"DROP FUNCTION twice(int);\nCHECKPOINT;\n" + extra,
                       check=True, stdout=subprocess.DEVNULL, env=env)
        time.sleep(0.3)
    finally:
        subprocess.run([BIN + "/pg_ctl", "-D", data, "-w", "-m", "fast", "stop"], check=False, cwd=data,
                       stdout=subprocess.DEVNULL, **as_postgres())
    for ending in ("csv", "log", "json") if name.startswith("trio") else ("csv",):
        shutil.copyfile(data + "/log/" + name + "." + ending, HERE + "/" + name + "." + ending)
    settings_file = data + "/postgresql.conf"
    lines = open(settings_file).read().split("\n")
    with open(settings_file, "w") as f:
        f.write("\n".join(l for l in lines if not any(l.startswith(k + " = ") for k in {**BASE, **settings})))


def derive(source, target, columns, change=lambda row: row):
    """A log as another version writes it: fewer columns, or other words."""
    with open(HERE + "/" + source, newline="", encoding="latin1") as f, \
            open(HERE + "/" + target, "w", newline="", encoding="latin1") as out:
        # numbers and times are bare and strings quoted in a csvlog; empty is nothing at all
        bare = {0, 3, 5, 6, 8, 10, 12, 17, 20, 24, 25}
        for row in csv.reader(f):
            row = change(row[:columns])
            out.write(",".join(c if i in bare or i == 11 or i == 9 or c == "" else '"' + c.replace('"', '""') + '"'
                               for i, c in enumerate(row)) + "\n")


def capital_parameters(row):
    if row[14].startswith("parameters: "):
        row[14] = "P" + row[14][1:]
    return row


def main():
    data = tempfile.mkdtemp(prefix="rehearse-logs-")
    os.chmod(data, 0o755)
    if os.getuid() == 0:
        os.chown(data, pwd.getpwnam("postgres").pw_uid, pwd.getpwnam("postgres").pw_gid)
    env = dict(os.environ, PGOPTIONS="", PGAPPNAME="pgbench")
    try:
        data += "/data"
        subprocess.run([BIN + "/initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-N"],
                       check=True, stdout=subprocess.DEVNULL, cwd="/", **as_postgres())
        port = free_port()
        with open(data + "/postgresql.conf", "a") as f:
            f.write("unix_socket_directories = ''\nlisten_addresses = '127.0.0.1'\n")
        subprocess.run([BIN + "/pg_ctl", "-D", data, "-w", "-o", "-p %d" % port, "-l", data + "/start.log", "start"],
                       check=True, cwd=data, stdout=subprocess.DEVNULL, **as_postgres())
        url = ["-h", "127.0.0.1", "-p", str(port), "-U", "postgres"]
        subprocess.run([BIN + "/createdb", *url, "shop"], check=True)
        subprocess.run([BIN + "/pgbench", *url, "-i", "-q", "-s", "1", "shop"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.run([BIN + "/psql", *url, "-qX", "shop"], check=True,
                       input=b"CREATE TABLE notes (body text, n int);")
        subprocess.run([BIN + "/pg_ctl", "-D", data, "-w", "-m", "fast", "stop"], check=True, cwd=data,
                       stdout=subprocess.DEVNULL, **as_postgres())
        wanted = sys.argv[2:] or SHAPES
        for name in wanted:
            one_shape(name, SHAPES[name], data, port, env)
        if "statement_all" in wanted and "min_duration" in wanted:
            derive("statement_all.csv", "statement_all.v12.csv", 23)
            derive("min_duration.csv", "min_duration.v13.csv", 24)
            derive("min_duration.csv", "min_duration.v16.csv", 26, capital_parameters)
    finally:
        shutil.rmtree(os.path.dirname(data) if data.endswith("/data") else data, ignore_errors=True)


if __name__ == "__main__":
    main()
