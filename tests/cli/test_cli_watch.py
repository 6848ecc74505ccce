"""Following a campaign that a small HTTP server plays, so that it stands still where a real one would go on."""
import http.server
import json
import threading

import pytest

PLAN = {"version": 1, "size": [8, 8], "time_base": [1, 24], "rate": [24, 1], "frames": 20, "end_pts": 20, "segments": [[0, 10, 0, 10], [10, 10, 10, 20]],
        "shots": [0], "languages": [{"language": "hi", "speech_seconds": 0.4, "end_pts": 10, "outputs": [[0, 10, False, 0]]}], "media": {}}


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def answer(self, value, kind="application/json"):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/v1/campaigns/c/events":
            self.server.state = "done"
            self.answer(b'event: campaign\ndata: {"state":"done"}\n\n', "text/event-stream")
        elif path == "/v1/campaigns/c/jobs":
            self.answer({"items": [{"id": "c/plan", "state": "done"}, {"id": "c/track/0000", "state": "leased", "progress": {"frames": 5}}],
                         "next": None})
        elif path == "/v1/campaigns/c/files/plan.json":
            self.answer(PLAN)
        else:
            state = self.server.state
            self.answer({"id": "c", "class": "batch", "state": state, "languages": [{"language": "hi", "state": state}]})


@pytest.fixture
def server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.state = "running"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_faces_are_counted_in_the_segments_that_some_language_shows(mela, server):
    done = mela("watch", "c", "--address", f"http://127.0.0.1:{server.server_port}")
    assert done.returncode == 0, done.stderr
    assert "faces:  50 %  5/10 frames" in done.stdout, done.stdout
