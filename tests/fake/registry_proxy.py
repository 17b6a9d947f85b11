#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy in front of a real registry that goes wrong where it is told to, and records what it was asked.

usage: registry_proxy.py --port-file F --log F [--upstream HOST:PORT] [--auth USER:PASSWORD] [--tls CERT KEY] [RULES]

RULES is a JSON list. The first rule whose method and path (regular expressions) fit, that has `times` left (default: always)
and has let `after` fitting requests pass is applied:
  {"name": "...", "method": "PUT", "path": "/manifests/", "times": 2, "after": 1, ACTION}
with one ACTION:
  "status": 500, "headers": {...}, "body": "..."   answer so, without asking the registry
  "drop": true                                     hang up without an answer
  "hangup": N                                      read N bytes of what is sent, then hang up
  "cut": N                                         hang up after N bytes of the registry's answer
  "corrupt": true                                  the registry's answer with its last byte changed
  "strip": ["Docker-Content-Digest", ...]          the registry's answer without these headers
  "set": {"Location": "http://..."}                the registry's answer with other headers
  "ignore_range": true                             the whole, 200, where a range was asked for
  "redirect": "http://host:port"                   307 to the same path there
  "delay": S                                       the registry's answer, S seconds later
  "hold": true                                     no answer ever, and the registry isn't asked
Every request is a line of JSON in the log, with the name of the rule that fired, if one did.
--auth is what the proxy itself says to the registry (it stands for a storage host that needs no credentials).
"""
import argparse
import base64
import http.client
import http.server
import json
import os
import re
import socketserver
import ssl
import threading
import time

HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "te", "upgrade"}


class Rules:
    def __init__(self, rules):
        self.rules = rules
        self.lock = threading.Lock()

    def pick(self, method, path):
        with self.lock:
            for rule in self.rules:
                if not re.fullmatch(rule.get("method", ".*"), method) or not re.search(rule.get("path", ""), path):
                    continue
                if rule.get("after", 0) > 0:
                    rule["after"] -= 1
                    continue
                if rule.get("times", 1) <= 0:
                    continue
                if "times" in rule:
                    rule["times"] -= 1
                return rule
        return None


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def note(self, rule, sent):
        line = {
            "method": self.command,
            "path": self.path,
            "fired": rule.get("name", "?") if rule else None,
            "headers": {k.lower(): v for k, v in self.headers.items()},
            "body": sent,
        }
        with self.server.lock, open(self.server.log, "a", encoding="utf-8") as f:
            f.write(json.dumps(line) + "\n")

    def answer(self, status, headers, body):
        self.send_response_only(status)
        for k, v in headers:
            self.send_header(k, v)
        if not any(k.lower() == "content-length" for k, v in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def hang_up(self):
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(2)

    def handle_expect_100(self):
        self.send_response_only(100)
        self.end_headers()
        return True

    def upstream(self, body, ignore_range):
        headers = {k: ", ".join(self.headers.get_all(k)) for k in self.headers if k.lower() not in HOP}
        if ignore_range:
            headers.pop("Range", None)
        if self.server.auth:
            headers["Authorization"] = self.server.auth
        c = http.client.HTTPConnection(self.server.upstream, timeout=60)
        c.request(self.command, self.path, body or None, headers)
        r = c.getresponse()
        data = r.read()
        c.close()
        return r.status, [(k, v) for k, v in r.getheaders() if k.lower() not in HOP], data

    def serve(self):
        rule = self.server.rules.pick(self.command, self.path)
        size = int(self.headers.get("Content-Length") or 0)
        act = rule or {}
        if "hangup" in act:
            got = self.rfile.read(min(act["hangup"], size))
            self.note(rule, len(got))
            return self.hang_up()
        body = self.rfile.read(size)
        self.note(rule, len(body))
        if "hold" in act:
            time.sleep(3600)
        if "drop" in act:
            return self.hang_up()
        if "redirect" in act:
            return self.answer(307, [("Location", act["redirect"] + self.path)], b"")
        if "status" in act:
            return self.answer(act["status"], list(act.get("headers", {}).items()), act.get("body", "").encode())
        status, headers, data = self.upstream(body, "ignore_range" in act)
        time.sleep(act.get("delay", 0))
        if "corrupt" in act and data:
            data = data[:-1] + bytes([data[-1] ^ 1])
        drop = {h.lower() for h in act.get("strip", [])} | {h.lower() for h in act.get("set", {})}
        headers = [(k, v) for k, v in headers if k.lower() not in drop] + list(act.get("set", {}).items())
        if "cut" in act:
            self.answer(status, headers, data[: act["cut"]])
            return self.hang_up()
        return self.answer(status, headers, data)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = serve


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--port-file", required=True)
    p.add_argument("--log", required=True)
    p.add_argument("--upstream")
    p.add_argument("--auth")
    p.add_argument("--tls", nargs=2)
    p.add_argument("rules", nargs="?", default="[]")
    a = p.parse_args()
    s = Server(("127.0.0.1", 0), Proxy)
    s.rules, s.log, s.upstream, s.lock = Rules(json.loads(a.rules)), a.log, a.upstream, threading.Lock()
    if a.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*a.tls)
        s.socket = context.wrap_socket(s.socket, server_side=True)
    s.auth = None
    if a.auth:
        s.auth = "Basic " + base64.b64encode(a.auth.encode()).decode()
    open(a.log, "a", encoding="utf-8").close()
    with open(a.port_file + ".new", "w", encoding="utf-8") as f:
        f.write(str(s.server_address[1]))
    os.rename(a.port_file + ".new", a.port_file)
    s.serve_forever()


main()
