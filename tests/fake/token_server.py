#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Issues tokens for a registry as GitLab does at /jwt/auth: Basic authentication, rights that one doesn't have are silently left
out, RS256 signed by openssl. Signs only: whether a token is any good is for the real registry to say.

usage: token_server.py --port-file F --log F --key K --certificate C [--ttl S] [--say S] [--only-first] [--block N] USERS

USERS is JSON: {"ci": {"password": "...", "push": ["shop/.*"], "pull": [".*"]}}; a user "" is who comes without credentials.
--ttl is how long tokens hold (registries allow 60 seconds more: -57 is 3 seconds), --say what `expires_in` says about it (0: nothing),
--only-first serves the first scope only, as some servers do, --block refuses everybody after N failures, as GitLab does for an hour
after 30. Every request is a line of JSON in the log.
"""
import argparse
import base64
import http.server
import json
import os
import re
import subprocess
import time
import urllib.parse


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Tokens(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def user(self):
        auth = self.headers.get("Authorization", "")
        if not auth:
            return ""
        name, _, password = base64.b64decode(auth.split(" ", 1)[1]).decode().partition(":")
        known = self.server.users.get(name)
        return name if known and known.get("password") == password else None

    def rights(self, user, scopes):
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            can = self.server.users.get(user, {})
            got = [a for a in actions.split(",") if any(re.fullmatch(p, name) for p in can.get(a, []))]
            if got:
                access.append({"type": kind, "name": name, "actions": got})
        return access

    def token(self, user, service, access):
        s, now = self.server, int(time.time())
        with open(s.certificate, encoding="ascii") as f:
            cert = "".join(line.strip() for line in f if "-----" not in line)
        head = {"typ": "JWT", "alg": "RS256", "x5c": [cert]}
        claims = {"iss": "gitlab-issuer", "sub": user, "aud": service, "iat": now - 120, "nbf": now - 120, "exp": now + s.ttl, "jti": str(time.time_ns()),
                  "access": access}
        text = b64(json.dumps(head).encode()) + "." + b64(json.dumps(claims).encode())
        signed = subprocess.run(["openssl", "dgst", "-sha256", "-sign", s.key], input=text.encode(), stdout=subprocess.PIPE, check=True).stdout
        return text + "." + b64(signed)

    def do_GET(self):
        s = self.server
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        user, scopes = self.user(), query.get("scope", [])
        s.seen({"path": self.path, "user": user, "scopes": scopes})
        if s.only_first:
            scopes = scopes[:1]
        status, answer = 200, {}
        if user is None or (user == "" and "" not in s.users) or (s.block and s.failures >= s.block):
            s.failures += 1
            status, answer = 403, {"errors": [{"code": "DENIED", "message": "access forbidden"}]}
        else:
            answer["token"] = self.token(user, query.get("service", [""])[0], self.rights(user, scopes))
            if s.say:
                answer["expires_in"] = s.say
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    """A token server, also for tests that have it in their own process: `lines` is what was asked."""

    def __init__(self, users, key, certificate, ttl=300, say=0, only_first=False, block=0, log=None):
        super().__init__(("127.0.0.1", 0), Tokens)
        self.users, self.key, self.certificate, self.log, self.lines = users, key, certificate, log, []
        self.ttl, self.say, self.only_first, self.block, self.failures = ttl, say, only_first, block, 0

    def seen(self, line):
        if self.log:
            with open(self.log, "a", encoding="utf-8") as f:
                f.write(json.dumps(line) + "\n")
        else:
            self.lines.append(line)


def main():
    p = argparse.ArgumentParser()
    for name in ("port-file", "log", "key", "certificate"):
        p.add_argument("--" + name, required=True)
    p.add_argument("--ttl", type=int, default=300)
    p.add_argument("--say", type=int, default=0)
    p.add_argument("--only-first", action="store_true")
    p.add_argument("--block", type=int, default=0)
    p.add_argument("users")
    a = p.parse_args()
    s = Server(json.loads(a.users), a.key, a.certificate, a.ttl, a.say, a.only_first, a.block, a.log)
    open(a.log, "a", encoding="utf-8").close()
    with open(a.port_file + ".new", "w", encoding="utf-8") as f:
        f.write(str(s.server_address[1]))
    os.rename(a.port_file + ".new", a.port_file)
    s.serve_forever()


if __name__ == "__main__":
    main()
