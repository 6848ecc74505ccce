"""A real browser on a folder of pages, one of which tells what it sees."""
import functools
import http.server
import json
import os
import queue
import subprocess
import tempfile
import threading

# In a page: tell({...}) is what show() answers.
TELL = 'const tell = what => fetch("/report", {method: "POST", body: JSON.stringify(what)});'


class Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *arguments, reports, asked, **keywords):
        self.reports, self.asked = reports, asked
        super().__init__(*arguments, **keywords)

    def do_GET(self):
        self.asked.append(self.path)
        super().do_GET()

    def do_POST(self):
        self.reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments):
        pass


def show(folder, page):
    """Opens a page of the folder; answers the first thing that it tells, and the paths that were asked for."""
    reports, asked = queue.Queue(), []
    handler = functools.partial(Handler, directory=folder, reports=reports, asked=asked)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, \
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = subprocess.Popen(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
             "--remote-debugging-port=0", f"--user-data-dir={profile}", f"http://127.0.0.1:{server.server_port}/{page}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "TMPDIR": profile})
        try:
            return reports.get(timeout=90), asked
        finally:
            browser.terminate()
            browser.wait(30)
            server.shutdown()
