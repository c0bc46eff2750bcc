"""Chromium without a window, driven over its debugging pipe.

The protocol (chromedevtools.github.io/devtools-protocol) is JSON, a NUL byte behind each message, on file descriptors
3 (to the browser) and 4 (from it): nothing is needed but Debian's chromium and Python's standard library, and no port
is opened. Events that come while an answer is waited for are kept.
"""

import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
         "--disable-default-apps", "--hide-scrollbars", "--remote-debugging-pipe"]


class BrowserError(Exception):
    pass


def find():
    """The program's path, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Chromium:
    def __init__(self, timeout=60):
        self.timeout = timeout
        self.folder = tempfile.mkdtemp(prefix="rehearse-browser-")
        to_browser, self.out = os.pipe()
        self.inp, from_browser = os.pipe()
        # dup2() below must not meet its own targets.
        to_browser, from_browser = (self._high(fd) for fd in (to_browser, from_browser))

        def plumb():
            os.dup2(to_browser, 3)
            os.dup2(from_browser, 4)

        self.log = open(os.path.join(self.folder, "log"), "wb")
        self.process = subprocess.Popen(
            [find(), *FLAGS, "--user-data-dir=" + os.path.join(self.folder, "profile"), "about:blank"],
            preexec_fn=plumb, close_fds=False, start_new_session=True, stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log)
        os.close(to_browser)
        os.close(from_browser)
        self.buffer = b""
        self.events = []
        self.number = 0
        self.session = None

    @staticmethod
    def _high(fd):
        high = os.dup(fd)
        while high < 10:
            high = os.dup(high)
        os.close(fd)
        os.set_inheritable(high, True)
        return high

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for fd in (self.out, self.inp):
            os.close(fd)
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def read_message(self, deadline):
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.inp], [], [], max(0, deadline - time.monotonic()))
            data = os.read(self.inp, 1 << 20) if ready else b""
            if not data:
                with open(os.path.join(self.folder, "log"), errors="replace") as log:
                    raise BrowserError("chromium does not answer:\n" + log.read()[-2000:])
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **params):
        """Sends a command to the page (to the browser before there is one) and returns its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + self.timeout
        while True:
            answer = self.read_message(deadline)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error'].get('message')}")
                return answer["result"]
            self.events.append(answer)

    def open_page(self):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")

    def wait_for(self, method):
        """Waits for an event of that name, also one that came already, and forgets the events before it."""
        deadline = time.monotonic() + self.timeout
        while True:
            for i, event in enumerate(self.events):
                if event.get("method") == method:
                    del self.events[:i + 1]
                    return event
            self.events.append(self.read_message(deadline))

    def evaluate(self, script):
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise BrowserError(json.dumps(result["exceptionDetails"])[:2000])
        return result["result"].get("value")
