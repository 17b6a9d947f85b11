#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy in front of a real registry that goes wrong where it is told to, and records what it was asked. Bodies stream both ways.

usage: registry_proxy.py --port-file F --log F [--upstream HOST:PORT] [--auth USER:PASSWORD] [--tls CERT KEY] [--like LIKE ...] [RULES]

RULES is a JSON list. The first rule whose method and path (regular expressions) fit, that has `times` left (default: always)
and has let `after` fitting requests pass is applied:
  {"name": "...", "method": "PUT", "path": "/manifests/", "header": {"range": "bytes"}, "min": N, "times": 2, "after": 1, ACTION}
("header": these request headers fit these expressions; "min": at least N bytes are sent) with one ACTION, or several that go together:
  "status": 500, "headers": {...}, "body": "..."   answer so, without asking the registry
  "drop": true                                     hang up without an answer, and without asking the registry
  "lose": true                                     the registry does what it is asked; hang up without its answer
  "hangup": N                                      read N bytes of what is sent, then hang up; the registry isn't asked
  "break": N                                       hang up on both when the registry has N bytes of what is sent
  "keep": N                                        the same, but the registry keeps these N bytes, as distribution 3 does
  "take": N                                        the registry gets the first N bytes as if they were all, and its answer counts
  "flip": true                                     what the registry gets has one byte changed
  "cut": N                                         hang up after N bytes of the registry's answer
  "total": true                                    `break`, `keep`, `cut` count over all requests that fit: N bytes behind one another
  "deaf": N                                        read N bytes of what is sent, then nothing more, and say nothing
  "mute": N                                        N bytes of the answer, then nothing more
  "drip": S                                        the answer byte by byte, S seconds apart, its head too
  "pace": N                                        at most N bytes a second, both ways
  "corrupt": true                                  the registry's answer with its last byte changed
  "short": N, "long": N                            the registry's answer, N bytes shorter or longer, as if that were all
  "as": 201                                        the registry's answer with another status
  "strip": ["Docker-Content-Digest", ...]          the registry's answer without these headers
  "set": {"Location": "http://..."}                the registry's answer with other headers
  "host": "HOST:PORT"                              the registry's answer with this host in its Location ("//HOST:PORT": without a scheme)
  "forget": ["Content-Range", ...]                 the registry doesn't get these headers
  "ignore_range": true                             the whole, 200, where a range was asked for
  "redirect": "http://host:port"                   307 to the same path there
  "delay": S                                       the registry's answer, S seconds later
  "hold": true                                     no answer ever, and the registry isn't asked
--like makes Debian's registry behave like others do with upload sessions; more than one may be given:
  strict     a Location that isn't the newest of its session: 404; a Content-Range that doesn't go on where the session ends: 416
  stateless  GET of a session answers whatever its query says, with the newest Location (distribution 3, GitLab)
  keeps      a PATCH that breaks, or whose client dies: what came of it is kept (distribution 3, GitLab)
  min=N      OCI-Chunk-Min-Length: N; another PATCH behind a shorter one: 400
  max=N      a PATCH of more than N bytes: 413
Every request is a line of JSON in the log, with the name of the rule that fired, if one did, and `stale` where a Location was old.
--auth is what the proxy itself says to the registry (it stands for a storage host that needs no credentials).
"""
import argparse
import base64
import http.client
import http.server
import io
import json
import os
import re
import select
import socket
import socketserver
import ssl
import threading
import time

HOP = {"connection", "keep-alive", "transfer-encoding", "expect", "te", "upgrade"}
PIECE = 256 << 10
SESSION = re.compile(r"/v2/(.+)/blobs/uploads/([^/?]+)(?:\?(.*))?$")


class Gone(Exception):
    """One side hung up, or is to be hung up on."""


class Rules:
    def __init__(self, rules):
        self.rules = [dict(r) for r in rules]
        self.lock = threading.Lock()

    @staticmethod
    def fits(rule, method, path, headers):
        return (re.fullmatch(rule.get("method", ".*"), method) and re.search(rule.get("path", ""), path)
                and int(headers.get("Content-Length") or 0) >= rule.get("min", 0)
                and all(re.search(v, headers.get(k) or "") for k, v in rule.get("header", {}).items()))

    def pick(self, method, path, headers):
        with self.lock:
            for rule in self.rules:
                if not self.fits(rule, method, path, headers):
                    continue
                if rule.get("after", 0) > 0:
                    rule["after"] -= 1
                    continue
                if rule.get("times", 1) <= 0:
                    continue
                if "times" in rule and not rule.get("total"):
                    rule["times"] -= 1
                return rule
        return None

    def limit(self, rule, key, n):
        """How many of the n bytes of this request pass, where the rule counts over all of them; None: all."""
        if not rule.get("total"):
            return rule[key]
        with self.lock:
            if rule.get("times", 1) <= 0:
                return None
            if rule[key] >= n:
                rule[key] -= n
                return None
            rule["times"] = rule.get("times", 1) - 1
            return rule[key]


class Session:
    """What is known of an upload: where it is, how long it is, and the length of its last chunk."""

    def __init__(self):
        self.query, self.size, self.short = None, 0, False


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def note(self, rule, more=None):
        if self.line is None:
            self.line = {"method": self.command, "path": self.path, "fired": rule.get("name", "?") if rule else None,
                         "headers": {k.lower(): v for k, v in self.headers.items()}, "body": self.got, "answered": 0, **(more or {})}
            self.server.seen(self.line)

    # ---- to the client ----

    def raw(self, data):
        """Writes some of the answer."""
        drip, pace = self.act.get("drip"), self.act.get("pace")
        try:
            if drip:
                for i in range(len(data)):
                    self.connection.sendall(data[i:i + 1])
                    time.sleep(drip)
                    if self.server.over:
                        raise Gone
            else:
                self.connection.sendall(data)
                if pace:
                    time.sleep(len(data) / pace)
        except OSError as e:
            raise Gone from e

    def head(self, status, headers):
        lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, 'Whatever')}"] + [f"{k}: {v}" for k, v in headers]
        if self.close_connection:
            lines.append("Connection: close")
        if self.line is not None:
            self.line["status"] = status
        self.raw(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    def answer(self, status, headers, body):
        if not any(k.lower() == "content-length" for k, v in headers):
            headers = list(headers) + [("Content-Length", str(len(body)))]
        self.head(status, headers)
        if self.command != "HEAD":
            self.raw(body)

    def refuse(self, rule, status, code, headers=()):
        """An answer of ours where the body, if any, is still to come or not wanted."""
        self.drain()
        self.note(rule)
        self.answer(status, [("Content-Type", "application/json"), *headers], json.dumps({"errors": [{"code": code, "message": "refused"}]}).encode())

    def hang_up(self):
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def wait_for_the_end(self):
        """Says nothing until the client gives up."""
        while not self.server.over:
            ready, _, _ = select.select([self.connection], [], [], 0.2)
            if ready and self.act.get("deaf") is None:
                try:
                    if not self.connection.recv(65536):
                        break
                except OSError:
                    break
            elif ready:
                try:
                    if not self.connection.recv(1, socket.MSG_PEEK):
                        break
                except OSError:
                    break
                time.sleep(0.05)
        self.hang_up()

    # ---- from the client ----

    def go_on(self):
        if self.expects:
            self.expects = False
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def pieces(self, limit=None):
        """The body, piece by piece; Gone when the client hangs up before its end."""
        pace = self.act.get("pace")
        buf = memoryview(bytearray(min(PIECE, pace // 10 + 1) if pace else PIECE))
        self.go_on()
        if self.chunked:
            while n := int(self.rfile.readline().split(b";")[0] or b"0", 16):
                data = self.rfile.read(n)
                self.rfile.readline()
                self.got += len(data)
                yield data
            self.rfile.readline()
            return
        end = self.size if limit is None else min(limit, self.size)
        while self.got < end:
            try:
                n = self.rfile.readinto1(buf[: min(len(buf), end - self.got)])
            except OSError as e:
                raise Gone from e
            if not n:
                raise Gone
            self.got += n
            yield buf[:n]
            if pace:
                time.sleep(n / pace)

    def drain(self):
        if self.expects:
            self.close_connection = self.size > 0
            return
        for _ in self.pieces():
            pass

    # ---- to the registry ----

    def connect(self):
        headers = {k: ", ".join(self.headers.get_all(k)) for k in self.headers}
        drop = HOP | {h.lower() for h in self.act.get("forget", [])} | ({"range"} if "ignore_range" in self.act else set())
        headers = {k: v for k, v in headers.items() if k.lower() not in drop}
        if self.server.auth:
            headers["Authorization"] = self.server.auth
        if self.chunked:
            headers["Transfer-Encoding"] = "chunked"
        if self.expects:
            headers["Expect"] = "100-continue"
        headers["Connection"] = "close"
        return headers

    def ask(self, limit=None, declared=None):
        """Passes the request on. With `limit`, that much of its body, and then it hangs up; with `declared`, that is all of it."""
        host, _, port = self.server.upstream.rpartition(":")
        headers = self.connect()
        if declared is not None:
            headers["Content-Length"] = str(declared)
            if "Content-Range" in headers:
                start = int(headers["Content-Range"].split("-")[0])
                headers["Content-Range"] = f"{start}-{start + declared - 1}"
        up = socket.create_connection((host, int(port)), timeout=120)
        self.up = up
        up.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = [f"{self.command} {self.path} HTTP/1.1"] + [f"{k}: {v}" for k, v in headers.items()]
        up.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        answer = http.client.HTTPResponse(up, method=self.command)
        if self.expects and b" 100" not in answer.fp.peek(16)[:16]:
            self.close_connection = True  # the registry doesn't want to see the body
        else:
            try:
                for piece in self.pieces(limit if limit is not None else declared):
                    if self.act.get("flip") and self.got == len(piece):
                        piece[0] ^= 1
                    if self.chunked:
                        up.sendall(b"%x\r\n" % len(piece))
                    up.sendall(piece)
                    if self.chunked:
                        up.sendall(b"\r\n")
                if self.chunked:
                    up.sendall(b"0\r\n\r\n")
            except OSError:  # it has said why, or nothing
                self.close_connection = True
        if limit is not None:
            raise Gone
        try:
            answer.begin()
        except (OSError, http.client.HTTPException) as e:
            raise Gone from e
        return answer

    # ---- upload sessions, as other registries have them ----

    def session(self):
        m = SESSION.search(self.path)
        return (self.server.sessions.setdefault(m[2], Session()), m[3]) if m else (None, None)

    def old_location(self, rule):
        """True when the answer is given: the Location isn't the newest, or the bytes don't go on where the session ends."""
        like, (s, query) = self.server.like, self.session()
        if not s or s.query is None or self.command == "DELETE":
            return False
        known = (query or "").split("&digest=")[0].split("digest=sha256")[0] == s.query
        if not known:
            if self.command == "GET" and "stateless" in like:
                self.path = self.path.split("?")[0] + "?" + s.query
                return False
            self.stale = True
            if "strict" in like:
                self.refuse(rule, 404, "BLOB_UPLOAD_INVALID")
                return True
        where = self.headers.get("Content-Range")
        if "strict" in like and where and "forget" not in self.act:
            m = re.fullmatch(r"(\d+)-(\d+)", where)
            if not m or int(m[2]) - int(m[1]) + 1 != self.size or int(m[1]) != s.size:
                self.refuse(rule, 416 if m else 400, "RANGE_INVALID",
                            [("Location", self.path.split("?")[0] + "?" + s.query), ("Range", f"0-{max(s.size - 1, 0)}")])
                return True
        if self.command == "PATCH":
            if s.short:
                self.refuse(rule, 400, "SIZE_INVALID")
                return True
            if self.size > like.get("max", 1 << 62):
                self.refuse(rule, 413, "SIZE_INVALID")
                return True
            s.short = self.size < like.get("min", 0)
        return False

    def learn(self, headers):
        """Takes what an answer says of a session."""
        location = next((v for k, v in headers if k.lower() == "location"), None)
        m = SESSION.search(location or "")
        if not m:
            return
        s = self.server.sessions.setdefault(m[2], Session())
        s.query = m[3] or ""
        size = next((v for k, v in headers if k.lower() == "range"), "")
        if re.fullmatch(r"0-\d+", size):  # an empty session says 0-0, too
            s.size = int(size[2:]) + 1 if self.command != "POST" and size != "0-0" else 0

    # ---- one request ----

    def upload(self, rule, key):
        limit = self.server.rules.limit(rule, key, self.size)
        if limit is None:
            return self.ask()
        if key == "break":
            try:
                return self.ask(limit=limit)
            finally:
                self.note(rule)
        answer = self.ask(declared=limit)  # keep
        answer.read()
        self.note(rule)
        self.learn(answer.getheaders())
        raise Gone

    def kept(self, rule):
        """Passes a PATCH on when all of it is there, or all that there will be."""
        data, gone = bytearray(), None
        try:
            for piece in self.pieces():
                data += piece
        except Gone as e:
            gone = e
        if gone and not data:
            raise gone
        if gone:
            self.note(rule)
        whole, self.rfile, self.got = self.rfile, io.BytesIO(bytes(data)), 0
        self.expects = False
        try:
            answer = self.ask(declared=len(data))
        finally:
            self.rfile = whole
        if gone:
            answer.read()
            self.learn(answer.getheaders())
            raise gone
        return answer

    def serve(self):
        self.rule = rule = self.server.rules.pick(self.command, self.path, self.headers)
        self.act, self.line, self.up, self.got, self.stale = rule or {}, None, None, 0, False
        self.size = int(self.headers.get("Content-Length") or 0)
        self.chunked = "chunked" in (self.headers.get("Transfer-Encoding") or "")
        self.expects = "100-continue" in (self.headers.get("Expect") or "")
        try:
            if not self.fault(rule):
                self.passed(rule)
        except Gone:
            self.note(rule)
            self.hang_up()
        finally:
            if self.up:
                self.up.close()

    def fault(self, rule):
        """Faults that the registry doesn't hear of; True when this was one."""
        act = self.act
        if act.get("call"):
            act["call"](self)
        if "hangup" in act or "deaf" in act:
            for _ in self.pieces(act.get("hangup", act.get("deaf"))):
                pass
            self.note(rule)
            if "deaf" in act:
                self.wait_for_the_end()
            else:
                self.hang_up()
        elif "hold" in act or "drop" in act:
            self.drain()
            self.note(rule)
            if "hold" in act:
                self.wait_for_the_end()
            else:
                self.hang_up()
        elif "redirect" in act:
            self.drain()
            self.note(rule)
            self.answer(307, [("Location", act["redirect"] + self.path)], b"")
        elif "status" in act:
            self.drain()
            self.note(rule)
            self.answer(act["status"], list(act.get("headers", {}).items()), act.get("body", "").encode())
        else:
            return self.old_location(rule)
        return True

    def passed(self, rule):
        act = self.act
        if "break" in act or "keep" in act:
            answer = self.upload(rule, "break" if "break" in act else "keep")
        elif "keeps" in self.server.like and self.command == "PATCH":
            answer = self.kept(rule)
        elif "take" in act:
            answer = self.ask(declared=min(act["take"], self.size))
            self.close_connection = True
        else:
            answer = self.ask()
        headers = [(k, v) for k, v in answer.getheaders() if k.lower() not in HOP]
        self.note(rule, {"stale": True} if self.stale else None)
        self.learn(headers)
        if "lose" in act:
            answer.read()
            raise Gone
        if "min" in self.server.like and self.command == "POST":
            headers.append(("OCI-Chunk-Min-Length", str(self.server.like["min"])))
        if act.get("delay"):
            self.wait(act["delay"])
        drop = {h.lower() for h in act.get("strip", [])} | {h.lower() for h in act.get("set", {})}
        headers = [(k, v) for k, v in headers if k.lower() not in drop] + list(act.get("set", {}).items())
        if "host" in act:
            there = act["host"] if act["host"].startswith("//") else "http://" + act["host"]
            headers = [(k, re.sub(r"^http://[^/]+", there, v) if k.lower() == "location" else v) for k, v in headers]
        self.relay(answer, act.get("as", answer.status), headers)

    def wait(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.server.over:
            time.sleep(min(0.05, seconds))

    def relay(self, answer, status, headers):
        act, length = self.act, answer.length
        if self.command == "HEAD" or status in (204, 304):
            return self.head(status, headers)
        if length is None:
            data = answer.read()
            return self.answer(status, [h for h in headers if h[0].lower() != "content-length"], data)
        says = max(0, length - act.get("short", 0)) + act.get("long", 0)
        self.head(status, [(k, str(says) if k.lower() == "content-length" else v) for k, v in headers])
        end = length if "cut" not in act else self.server.rules.limit(act, "cut", length)
        cut = end is not None and "cut" in act
        end = min(length if end is None else end, act.get("mute", length), length - act.get("short", 0))
        buf, done = memoryview(bytearray(min(PIECE, act.get("pace", PIECE * 10) // 10 + 1))), 0
        while done < end:
            n = answer.readinto(buf[: min(len(buf), end - done)])
            if not n:
                raise Gone
            done += n
            if act.get("corrupt") and done == length:
                buf[n - 1] ^= 1
            self.raw(buf[:n])
            self.line["answered"] = done
        if "mute" in act:
            return self.wait_for_the_end()
        if cut:
            raise Gone
        return self.raw(b"x" * act.get("long", 0))

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = serve


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """A proxy, also for tests that have it in their own process: `lines` is what was asked."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, upstream=None, rules=(), like=(), log=None, auth=None, tls=None, keep_lines=True):
        super().__init__(("127.0.0.1", 0), Proxy)
        self.upstream, self.log, self.lines, self.keep_lines = upstream, log, [], keep_lines
        self.rules, self.lock, self.sessions, self.over = Rules(rules), threading.Lock(), {}, False
        self.open = 0  # connections
        if any("pace" in r or "deaf" in r for r in rules):  # or the kernel takes all at once
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
        self.like = {k: int(v) if v else True for k, _, v in (w.partition("=") for w in like)}
        self.auth = "Basic " + base64.b64encode(auth.encode()).decode() if auth else None
        self.tls = None
        if tls:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*tls)
            self.socket = self.tls.wrap_socket(self.socket, server_side=True)

    @property
    def host(self):
        return f"127.0.0.1:{self.server_address[1]}"

    def seen(self, line):
        with self.lock:
            if self.keep_lines:
                self.lines.append(line)
            if self.log:
                with open(self.log, "a", encoding="utf-8") as f:
                    f.write(json.dumps(line) + "\n")

    def process_request(self, request, client_address):
        with self.lock:
            self.open += 1
        super().process_request(request, client_address)

    def process_request_thread(self, request, client_address):
        super().process_request_thread(request, client_address)
        with self.lock:
            self.open -= 1

    def handle_error(self, request, client_address):
        pass  # a client that was killed

    def start(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def stop(self):
        self.over = True
        self.shutdown()
        self.server_close()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--port-file", required=True)
    p.add_argument("--log", required=True)
    p.add_argument("--upstream")
    p.add_argument("--auth")
    p.add_argument("--tls", nargs=2)
    p.add_argument("--like", action="append", default=[])
    p.add_argument("rules", nargs="?", default="[]")
    a = p.parse_args()
    s = Server(a.upstream, json.loads(a.rules), a.like, a.log, a.auth, a.tls, keep_lines=False)
    open(a.log, "a", encoding="utf-8").close()
    with open(a.port_file + ".new", "w", encoding="utf-8") as f:
        f.write(str(s.server_address[1]))
    os.rename(a.port_file + ".new", a.port_file)
    s.serve_forever()


if __name__ == "__main__":
    main()
