# SPDX-License-Identifier: GPL-3.0-or-later
"""The service: POST /predict {"text": "..."} answers with a section; GET /healthz says whether it is up.

The model lies in /app/model and is all that changes from release to release.
"""
import http.server
import json
import os
import signal
import sys
import traceback

from scorer import Scorer

MODEL = os.environ.get("APP_MODEL", "/app/model")
PORT = int(os.environ.get("PORT", "8080"))
LIMIT = 65536


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # an answer leaves in one piece

    def answer(self, status, value):
        body = json.dumps(value, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/healthz":
            self.answer(200, {"status": "ok", "model": self.server.scorer.id})
        else:
            self.answer(404, {"error": "no such page"})

    def do_POST(self):
        size = self.headers.get("Content-Length", "")
        if not size.isdigit() or int(size) > LIMIT:
            self.close_connection = True
            return self.answer(413, {"error": f"a body of at most {LIMIT} bytes, please"})
        body = self.rfile.read(int(size))
        if self.path != "/predict":
            return self.answer(404, {"error": "no such page"})
        try:
            text = json.loads(body)["text"]
            if not isinstance(text, str):
                raise TypeError
        except (ValueError, KeyError, TypeError):
            return self.answer(400, {"error": 'the body must be {"text": "..."}'})
        try:
            best, score, _ = self.server.scorer.predict(text)
        except Exception:
            traceback.print_exc()
            return self.answer(500, {"error": "the model cannot score this"})
        self.answer(200, {"answer": best, "score": round(score, 4), "model": self.server.scorer.id})

    def log_message(self, format, *arguments):
        sys.stderr.write("%s %s\n" % (self.log_date_time_string(), format % arguments))


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


def main():
    # in a container of its own 0.0.0.0 is right; on the host's network the deployer says otherwise
    server = Server((os.environ.get("HOST", "0.0.0.0"), PORT), Handler)
    server.scorer = Scorer(MODEL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # as PID 1 it would be ignored
    server.serve_forever()


main()
