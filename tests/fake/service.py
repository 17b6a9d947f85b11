#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service that answers predictions, and misbehaves where a path asks for it.

    service.py --port-file F [--port P] [--log F] [--delay S] [--unready S] [--tls PEM]

--delay: the port opens after S seconds; --unready: /healthz answers 503 for S seconds more. Each request is a line of
JSON in the log: method, path, headers, body, and which misbehaviour fired.
"""
import argparse
import json
import os
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWERS = {"editor de texto": "editors", "jogo de cartas": "games", "xadrez": "games"}
started = time.monotonic()
lock = threading.Lock()
under_way = 0
most = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def note(self, body, fired=None):
        if self.server.args.log:
            line = json.dumps({"method": self.command, "path": self.path, "headers": dict(self.headers),
                               "body": body.decode("utf-8", "replace"), "fired": fired})
            with lock, open(self.server.args.log, "a", encoding="utf-8") as f:
                f.write(line + "\n")

    def answer(self, status, value, kind="application/json", headers=()):
        body = value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, text in headers:
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def serve(self):
        global under_way, most
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        counts = self.path == "/pause"
        with lock:
            under_way += counts
            most = max(most, under_way)
        try:
            self.reply(self.path.split("?")[0], body)
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            with lock:
                under_way -= counts

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = serve

    def reply(self, path, body):
        fired = path if path not in ("/healthz", "/predict", "/echo", "/") else None
        if path == "/healthz" and time.monotonic() - started < self.server.args.delay + self.server.args.unready:
            self.note(body, "unready")
            return self.answer(503, {"status": "starting"})
        self.note(body, fired)
        if path == "/healthz":
            return self.answer(200, {"status": "ok", "version": 3})
        if path == "/predict":
            return self.predict(body)
        if path == "/echo":
            return self.answer(200, {"method": self.command, "headers": dict(self.headers), "body": body.decode()})
        if path == "/numbers":
            return self.answer(200, b'{"scores": [0.1000001, 2e6, 1], "n": 1.0, "none": null, "deep": {"a": [{"b": 1, "c": 2}]}}')
        if path.startswith("/status/"):
            return self.answer(int(path[8:]), {"error": "as you asked"})
        if path == "/html":
            return self.answer(200, b"<!DOCTYPE html>\n<html>Sign in \xff\x1b[31m</html>", "text/html")
        if path == "/cut":
            return self.answer(200, b'{"answer": "edi', "application/json")
        if path == "/twice":
            return self.answer(200, b'{"a": 1, "a": 2}')
        if path == "/redirect":
            return self.answer(302, {}, headers=[("Location", "/healthz")])
        if path == "/huge":
            return self.huge()
        if path == "/close":
            self.close_connection = True
            return self.connection.close()
        if path == "/short":
            self.close_connection = True
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
            return self.wfile.flush()
        if path == "/slow":
            time.sleep(3)
        if path == "/pause":
            time.sleep(0.2)
        if path == "/most":
            return self.answer(200, {"most": most})
        self.answer(200 if path in ("/slow", "/pause") else 404, {})

    def huge(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        chunk = b"[" * 65536
        for _ in range(1024):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")

    def predict(self, body):
        try:
            text = json.loads(body)["text"]
        except (ValueError, KeyError, TypeError):
            return self.answer(400, {"error": "a JSON object with \"text\" was expected"})
        self.answer(200, {"answer": ANSWERS.get(text, "misc"), "score": 0.5, "text": text})


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--port-file", required=True)
    p.add_argument("--log")
    p.add_argument("--delay", type=float, default=0)
    p.add_argument("--unready", type=float, default=0)
    p.add_argument("--tls", metavar="PEM", help="a file with a key and its certificate")
    args = p.parse_args()
    time.sleep(args.delay)
    server = ThreadingHTTPServer(("127.0.0.1", args.port), Handler)
    server.daemon_threads = True
    server.args = args
    if args.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(args.tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    with open(args.port_file + ".tmp", "w", encoding="ascii") as f:
        f.write(str(server.server_port))
    os.rename(args.port_file + ".tmp", args.port_file)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
