#!/usr/bin/env python3
"""The judge's own test: is a verdict right, many times over? Each case rehearses one kind of migration under one recorded
minute of mixed load and says whether the verdict was what it has to be. Results go to a file, one line a run, so that the
suite can be stopped and goes on where it was; `summary` counts them for docs/measurement.md.

  suite.py run [CASE…] [--times N] [--at-once N]   the runs that are missing (one after the other: about six hours)
  suite.py judge                                   judges the runs that are kept once more, by the program as it is now
  suite.py summary                                 what is there
  suite.py forget CASE…                            drops results, to run them again

State (a server, recordings, run directories, results) is in $JUDGE_STATE or /var/tmp/rehearse-judge. The rehearse program is $REHEARSE or
build/release/bin/rehearse. Nothing else should run on the machine; what disturbs is part of the cases. Runs at once disturb
each other too, which makes it harder, never easier; each result says how many there were.
"""
import argparse
import glob
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
REHEARSE = os.environ.get("REHEARSE", ROOT + "/build/release/bin/rehearse")
STATE = os.environ.get("JUDGE_STATE", "/var/tmp/rehearse-judge")
RESULTS = STATE + "/results.jsonl"
PGBIN = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[4]))[-1]
SECONDS = 66  # of recorded traffic; the rehearsal is as long

SCHEMA = """
CREATE TABLE orders (order_id serial PRIMARY KEY, customer_id int NOT NULL, status text NOT NULL, note text, quantity int NOT NULL,
  total numeric(12,2) NOT NULL, placed_at timestamptz NOT NULL DEFAULT now());
INSERT INTO orders (customer_id, status, note, quantity, total)
  SELECT 1 + i % 5000, 'paid', 'note ' || i, 1 + i % 9, i % 1000 FROM generate_series(1, 100000) i;
CREATE INDEX ON orders (customer_id);
CREATE TABLE stock (product_id int PRIMARY KEY, name text NOT NULL, on_hand int NOT NULL);
INSERT INTO stock SELECT i, 'product ' || i, 1000 FROM generate_series(1, 5000) i;
CREATE TABLE quiet (id int PRIMARY KEY, v int NOT NULL);
INSERT INTO quiet SELECT i, i FROM generate_series(1, 1000) i;
"""
PARTS = 20
for n in range(1, PARTS + 1):
    SCHEMA += f"CREATE TABLE part{n:02d} (id int, v int); INSERT INTO part{n:02d} SELECT i, i FROM generate_series(1, 20000) i;\n"
SCHEMA += "VACUUM ANALYZE;\n"

# Scripts of pgbench with their weights: 130 transactions a second, seven of them on orders in each tenth of a second.
SCRIPTS = {
    "order": (10, r"""\set customer random(1, 5000)
\set product random(1, 5000)
\set quantity random(1, 9)
BEGIN;
SELECT name, on_hand FROM stock WHERE product_id = :product;
INSERT INTO orders (customer_id, status, note, quantity, total) VALUES (:customer, 'paid', 'new', :quantity, 49.95);
UPDATE stock SET on_hand = on_hand - :quantity WHERE product_id = :product;
COMMIT;
"""),
    "history": (10, "\\set customer random(1, 5000)\n"
                   "SELECT order_id, status, total FROM orders WHERE customer_id = :customer ORDER BY placed_at DESC LIMIT 20;\n"),
    "note": (6, "\\set order random(1, 100000)\nSELECT note FROM orders WHERE order_id = :order;\n"),
    "status": (6, "\\set order random(1, 100000)\nUPDATE orders SET status = 'sent' WHERE order_id = :order;\n"),
    "stock": (8, "\\set product random(1, 5000)\nSELECT name, on_hand FROM stock WHERE product_id = :product;\n"),
}
for n in range(1, PARTS + 1):
    SCRIPTS[f"part{n:02d}"] = (1, f"\\set v random(1, 20000)\nSELECT sum(v) FROM part{n:02d} WHERE v <> :v;\n")


def as_server(*command):
    return (["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"] if os.getuid() == 0 else []) + list(command)


def run(command, **kw):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)[:200]}: {done.stdout[-2000:]}")
    return done.stdout


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, data):
        self.data = data
        self.port = free_port()

    def make(self):
        os.makedirs(self.data)
        if os.getuid() == 0:
            shutil.chown(self.data, "postgres", "postgres")
        run(as_server(PGBIN + "/initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "--no-sync"))
        with open(self.data + "/postgresql.conf", "a") as conf:
            conf.write("listen_addresses = '127.0.0.1'\nfsync = off\nshared_buffers = 256MB\nlog_destination = csvlog\n"
                       "logging_collector = on\nlog_statement = all\nlog_connections = on\nlog_disconnections = on\n"
                       "log_rotation_size = 0\nlog_rotation_age = 0\nlog_filename = 'log'\nautovacuum = off\n"
                       f"unix_socket_directories = '{self.data}'\n")

    def start(self, *options):
        run(as_server(PGBIN + "/pg_ctl", "-D", self.data, "-l", self.data + "/start.log", "-w", "-t", "60",
                      "-o", f"-p {self.port} " + " ".join(options), "start"), cwd="/")

    def stop(self):
        run(as_server(PGBIN + "/pg_ctl", "-D", self.data, "-m", "fast", "-w", "-t", "60", "stop"), cwd="/")

    def psql(self, sql):
        return run([PGBIN + "/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres",
                    "-c", sql, "postgres"])


def source():
    """A stopped server with the tables, from which every rehearsal clones."""
    folder = STATE + "/source"
    if not os.path.exists(folder + "/ready"):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        os.chmod(folder, 0o711)
        server = Server(folder + "/data")
        server.make()
        server.start("-c log_statement=none")
        for statement in SCHEMA.split(";\n"):
            if statement.strip():
                server.psql(statement)
        server.stop()
        for log in glob.glob(server.data + "/log/*"):
            os.remove(log)
        open(folder + "/ready", "w").close()
    return folder + "/data"


def recording(name):
    """Traffic as a replay file. mixed: a minute of everything; report: the same, and a report that reads orders for four
    seconds from 30 s on; parts: two minutes of twenty statements, five a second of each."""
    path = f"{STATE}/{name}.replay"
    seconds, rates = (130, (50, 50)) if name == "parts" else (SECONDS, (60, 70))
    if os.path.exists(path):
        return path
    with tempfile.TemporaryDirectory(dir=STATE) as folder:
        os.chmod(folder, 0o711)
        run(["cp", "-a", source(), folder + "/data"])
        server = Server(folder + "/data")
        with open(server.data + "/postgresql.conf", "a") as conf:
            conf.write(f"unix_socket_directories = '{server.data}'\n")
        server.start()
        clients = []
        base = [PGBIN + "/pgbench", "-n", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-T", str(seconds)]
        scripts = []
        for script, (weight, text) in SCRIPTS.items():
            if name == "parts" and not script.startswith("part"):
                continue
            with open(f"{folder}/{script}.sql", "w") as out:
                out.write(text)
            scripts += ["-f", f"{folder}/{script}.sql@{weight}"]
        for mode, rate, number in (("simple", rates[0], 8), ("prepared", rates[1], 8)):
            clients.append(subprocess.Popen(base + scripts + ["-M", mode, "-c", str(number), "-R", str(rate), "postgres"],
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        if name == "report":
            time.sleep(30)
            server.psql("SELECT count(*), sum(total), max(pg_sleep(4)::text) FROM (SELECT total FROM orders LIMIT 1) o")
        for client in clients:
            client.wait()
        server.stop()
        run([REHEARSE, "create-replay", server.data + "/log/log.csv", "-o", path, "-q"])
    return path


# ---- what disturbs one lane ----

def clone_socket(lane, folder):
    """The clone's socket, once it is there."""
    for _ in range(600):
        for path in glob.glob(f"{folder}/*-{lane}/.s.PGSQL.*") + glob.glob(f"{folder}/*{lane}*/.s.PGSQL.*"):
            if not path.endswith(".lock"):
                return path
        time.sleep(0.1)
    return None


def disturb(lane, folder, sql, after_s, lasting_s):
    path = clone_socket(lane, folder)
    if not path:
        return
    time.sleep(after_s)
    until = time.time() + lasting_s
    while time.time() < until:
        subprocess.run([PGBIN + "/psql", "-X", "-q", "-h", os.path.dirname(path), "-p", path.rsplit(".", 1)[1], "-U", "postgres",
                        "-c", sql, "postgres"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       env={**os.environ, "PGAPPNAME": "noise"})
        time.sleep(0.2)


NOISE = [("checkpoint", "CHECKPOINT", 1), ("vacuum", "VACUUM (FREEZE) orders", 1),
         ("cpu", "SELECT count(*) FROM generate_series(1, 5000000)", 4)]


# ---- cases ----

def outcome_is(*words):
    return lambda v, info: v["outcome"] in words


def the_stall(v, relation):
    stalls = [s for s in v["stalls"] if s["relation"].endswith(relation)]
    return max(stalls, key=lambda s: s["duration_ms"]) if stalls else None


def role(link):
    return link.get("role", "") + ":" + json.dumps(link)


def lock_found(v, info):
    stall = the_stall(v, "orders")
    if not stall or any(not s["relation"].endswith("orders") for s in v["stalls"]):
        return False
    lock = [k for m in v["migration"] for k in m["locks"] if k["relation"].endswith("orders")]
    held_ms = max(k["held_ms"] + k.get("measuring_ms", 0) for k in lock)
    stall_ms = stall["duration_ms"] + stall.get("measuring_ms", 0)
    info["held_ms"], info["stall_ms"], info["victims"] = held_ms, stall_ms, stall["victims"]
    info["told_ms"] = stall["duration_ms"]
    right_root = stall["chain"] and stall["chain"][0]["role"] == "root" and stall["chain"][0].get("who") == "migration"
    # A stall begins with the first who waits, which may be a little after the lock was taken. Both are told without the
    # time in which only our own measuring held the lock; with it they are what happened, and comparable.
    first_s = stall["start_s"]
    end_s = first_s + stall_ms / 1000
    locked_s = [m["start_s"] for m in v["migration"] if m["sql"].startswith("LOCK")][0]
    true_ms = (locked_s - first_s) * 1000 + held_ms
    info["true_ms"] = true_ms
    return bool(right_root) and abs(stall_ms - true_ms) <= max(20, true_ms * 0.1) and end_s > first_s


def amplifier_found(v, info):
    stall = the_stall(v, "orders")
    if not stall:
        return False
    info["stall_ms"], info["chain"] = stall["duration_ms"], stall["chain"]
    roles = {link["role"]: link for link in stall["chain"]}
    return ("amplifier" in roles and roles["amplifier"].get("who") == "migration" and "root" in roles and
            "pg_sleep" in json.dumps(roles["root"]))


def is_queued(v):
    """On an overloaded machine the report's session may come later than the ALTER, which then queues behind nobody: the
    case did not come about, whatever the verdict says, and is run again."""
    return any(lock["waited_ms"] >= 1000 for m in v["migration"] for lock in m["locks"])


def regression_found(v, info):
    accused = [q["sql"] for q in v["queries"] if q["result"] in ("hurts", "slower")]
    info["accused"] = accused
    return bool(accused) and all("part07" in sql for sql in accused)


def break_found(word):
    def check(v, info):
        broken = [e for e in v["errors"] if e["result"] == "migration"]
        info["broken"] = [(e["sqlstate"], e["sql"][:60]) for e in broken]
        return v["outcome"] == "hurts" and bool(broken) and all(word in e["sql"] for e in broken)
    return check


CASES = {
    # name: (times, migration, its offset in run n, recording, check)
    "a_a": (100, None, None, "mixed", lambda v, info: v["outcome"] != "hurts"),
    "lock_100ms": (50, "BEGIN;\nLOCK TABLE orders IN ACCESS EXCLUSIVE MODE;\nSELECT pg_sleep(0.1);\nCOMMIT;\n", lambda n: 20 + n * 0.37, "mixed", lock_found),
    "amplifier": (20, "ALTER TABLE orders ADD COLUMN extra int;\n", lambda n: 31, "report", amplifier_found),
    "regression": (20, "INSERT INTO part07 SELECT i, i FROM generate_series(1, 10000) i;\n", lambda n: 20, "parts", regression_found),
    "dropped_column": (5, "ALTER TABLE orders DROP COLUMN note;\n", lambda n: 30, "mixed", break_found("note")),
    "constraint": (5, "ALTER TABLE orders ADD CHECK (quantity < 9) NOT VALID;\n", lambda n: 30, "mixed", break_found("orders")),
    "renamed_table": (5, "ALTER TABLE stock RENAME TO stock_2;\n", lambda n: 30, "mixed", break_found("stock")),
    "index_concurrently": (20, "CREATE INDEX CONCURRENTLY ON orders (status);\n", lambda n: 30, "mixed", outcome_is("clear")),
    "add_column": (20, "ALTER TABLE quiet ADD COLUMN w int NOT NULL DEFAULT 7;\n", lambda n: 30, "mixed", outcome_is("clear")),
    "validate": (20, "ALTER TABLE orders ADD CONSTRAINT positive CHECK (quantity > 0) NOT VALID;\n"
                     "ALTER TABLE orders VALIDATE CONSTRAINT positive;\n", lambda n: 30, "mixed", outcome_is("clear")),
}


def rehearse(case, number):
    _, migration, at, name, _ = CASES[case]
    replay = recording(name)
    info = {}
    with tempfile.TemporaryDirectory(dir=STATE) as folder:
        os.chmod(folder, 0o711)
        clones = folder + "/clones"
        os.mkdir(clones)
        if os.getuid() == 0:
            shutil.chown(clones, "postgres", "postgres")
        command = [REHEARSE, "test-migration", "--replay", replay, "--source", source(), "--clone-folder", clones,
                   "-o", folder + "/run", "-q"]
        if migration:
            with open(folder + "/migration.sql", "w") as out:
                out.write(migration)
            command += ["--migration", folder + "/migration.sql", "--migrate-at", f"{at(number):.2f}s"]
        noise = None
        if case == "a_a" and number % 3 == 2:
            chance = random.Random(number)
            name, sql, lasting = NOISE[number // 3 % len(NOISE)]
            lane = chance.choice(["baseline", "migrating"])
            info["noise"] = f"{name} on {lane}"
            noise = threading.Thread(target=disturb, args=(lane, clones, sql, 10 + chance.random() * 40, lasting))
            noise.start()
        started = time.time()
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if noise:
            noise.join()
        took = round(time.time() - started, 1)
        kept = kept_run(case, number)
        shutil.rmtree(kept, ignore_errors=True)
        if done.returncode <= 3:
            shutil.copytree(folder + "/run", kept)
        return assess(case, number, done, kept, info) | {"took_s": took}


def kept_run(case, number):
    return f"{STATE}/runs/{case}-{number}"


def assess(case, number, done, folder, info):
    """Is the verdict what it has to be?"""
    result = {"case": case, "n": number, "exit": done.returncode, "right": False, "program": program()}
    if done.returncode > 3:
        return result | {"problem": done.stdout[-500:], "info": info}
    verdict = json.load(open(folder + "/verdict.json"))
    result |= {"outcome": verdict["outcome"], "reason": verdict["reason"], "fidelity": verdict["fidelity"]["grade"]}
    try:
        result["came_about"] = case != "amplifier" or is_queued(verdict)
        result["right"] = bool(CASES[case][4](verdict, info))
    except (KeyError, ValueError, TypeError) as e:
        result["problem"] = repr(e)
    return result | {"info": info}


def judge_again():
    judged = []
    for old in results():
        folder = kept_run(old["case"], old["n"])
        info = {k: v for k, v in old["info"].items() if k == "noise"}
        if os.path.isdir(folder):
            done = subprocess.run([REHEARSE, "compare", folder, "-q"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            new = {k: v for k, v in old.items() if k != "problem"} | assess(old["case"], old["n"], done, folder, info)
            if new["right"] != old["right"] or new.get("outcome") != old.get("outcome"):
                tell(new)
            old = new
        judged.append(old)
    with open(RESULTS, "w") as out:
        out.writelines(json.dumps(r) + "\n" for r in judged)


def tell(result):
    print(f"{result['case']:20} {result['n']:3} {'right' if result['right'] else 'WRONG'} {result.get('outcome', '-'):12} "
          f"{result.get('reason', result.get('problem', ''))[:90]} {json.dumps(result['info'])[:120]}", flush=True)


def results():
    """The last of each run."""
    if not os.path.exists(RESULTS):
        return []
    lines = [json.loads(line) for line in open(RESULTS)]
    return list({(r["case"], r["n"]): r for r in lines}.values())


def program():
    return run(["md5sum", REHEARSE]).split()[0]


def in_turn(cases, times):
    """The runs that are missing, of all cases in proportion, so that whatever is stopped early has some of each."""
    there = {(r["case"], r["n"]) for r in results() if r.get("came_about", True)}
    missing = []
    for case in cases:
        count = min(times or CASES[case][0], CASES[case][0])
        missing += [((n + 0.5) / count, case, n) for n in range(count) if (case, n) not in there]
    return [(case, n) for _, case, n in sorted(missing)]


def run_cases(cases, times, at_once):
    os.makedirs(STATE, exist_ok=True)
    os.chmod(STATE, 0o711)
    for case in cases:
        recording(CASES[case][3])
    writing = threading.Lock()

    def one(job):
        load = os.getloadavg()[0]
        result = rehearse(*job) | {"replayed_by": program(), "load": load, "at_once": at_once}
        with writing:
            with open(RESULTS, "a") as out:
                out.write(json.dumps(result) + "\n")
            tell(result)

    with ThreadPoolExecutor(at_once) as pool:
        for _ in pool.map(one, in_turn(cases, times)):
            pass


def summary():
    there = [r for r in results() if r.get("came_about", True)]
    if len(there) < len(results()):
        print(f"{len(results()) - len(there)} runs in which the case did not come about are not counted\n")
    print("| case | runs | right | clear | hurts | cannot tell | invalid | failed |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for case in CASES:
        of = [r for r in there if r["case"] == case]
        count = {w: sum(r.get("outcome") == w for r in of) for w in ("clear", "hurts", "cannot_tell", "invalid")}
        print(f"| `{case}` | {len(of)} of {CASES[case][0]} | {sum(r['right'] for r in of)} | {count['clear']} | {count['hurts']} | "
              f"{count['cannot_tell']} | {count['invalid']} | {sum('outcome' not in r for r in of)} |")
    programs = {r["program"] for r in there}
    if len(programs) > 1:
        print(f"\njudged by {len(programs)} different programs")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["run", "judge", "summary", "forget"])
    parser.add_argument("case", nargs="*", help="of " + ", ".join(CASES))
    parser.add_argument("--times", type=int, help="at most so many runs of each case")
    parser.add_argument("--at-once", type=int, default=1, help="so many runs side by side")
    given = parser.parse_intermixed_args()
    unknown = [c for c in given.case if c not in CASES]
    if unknown:
        parser.error(f"no such case: {unknown[0]}")
    if given.verb == "run":
        run_cases(given.case or list(CASES), given.times, given.at_once)
    elif given.verb == "forget":
        kept = [r for r in results() if r["case"] not in given.case]
        with open(RESULTS, "w") as out:
            out.writelines(json.dumps(r) + "\n" for r in kept)
    elif given.verb == "judge":
        judge_again()
    else:
        summary()


main()
