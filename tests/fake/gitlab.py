#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A GitLab that keeps the notes of merge requests and what is uploaded for them, as strict as the real one where a client can go wrong.

    gitlab.py --port 0 --port-file F --log F --state DIR --token T[:USER[:ROLE[:SCOPE]]] ...

It checks tokens, scopes and roles, pages (with short pages: notes that the reader may not see are taken out
after paging), runs quick actions out of bodies, answers 202 where nothing else was in them, and records every
request as a line of JSON, with what the body would have set off: commands, mentions, references, links, HTML.
Faults are armed by --fault or at run time by POST /__control/fault, and recorded when they fire.

Control: POST /__control/notes   {"merge_request": 7, "notes": [{"body", "user", "system", "hidden"}, ...]}
         POST /__control/fault   {"method": "POST", "path": "/notes$", "kind": "429", "times": 2, "retry_after": 1}
         GET  /__control/notes?merge_request=7
         GET  /__control/uploads
Kinds of faults: a status (with GitLab's JSON), "html" or "html:503" (a page where JSON should be), "garbage"
(200 with JSON cut off), "close" (no answer), "301" (a moved project), "slow" (the answer comes after 3 s).
"""
import argparse
import datetime
import email
import hashlib
import html
import json
import os
import re
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_BODY = 1_000_000
ROLES = ["none", "guest", "reporter", "developer", "maintainer", "owner"]
REASONS = {
    400: "400 Bad request", 401: "401 Unauthorized", 403: "403 Forbidden", 404: "404 Not Found",
    408: "408 Request Timeout", 409: "409 Conflict", 429: "429 Too Many Requests", 500: "500 Internal Server Error",
    502: "502 Bad Gateway", 503: "503 Service Unavailable", 504: "504 Gateway Timeout",
}
COMMAND = re.compile(r"^\s*/([a-z_]+)(?:[ \t]+(.*))?$", re.I)


def outside_code(line):
    """The line without its code spans; a table row's cells are looked at one by one, as GFM splits them first."""
    if line.lstrip().startswith("|"):
        return " | ".join(_outside(cell) for cell in re.split(r"(?<!\\)\|", line))
    return _outside(line)


def _outside(text):
    out, i = [], 0
    while i < len(text):
        if text[i] == "\\" and i + 1 < len(text) and not text[i + 1].isalnum():
            out.append(" ")
            i += 2
        elif text[i] == "`":
            run = re.match(r"`+", text[i:])[0]
            close = re.search(r"(?<!`)" + run + r"(?!`)", text[i + len(run):])
            if close:
                i += len(run) + close.end()
                out.append(" ")
            else:
                out.append(run)
                i += len(run)
        else:
            out.append(text[i])
            i += 1
    return "".join(out)


def findings(body):
    """What the body would set off on a real GitLab."""
    found = {k: [] for k in ("commands", "mentions", "references", "links", "images", "html", "emoji", "fences")}
    comments = re.findall(r"<!--(.*?)-->", body, re.S)
    found["comments"] = len(comments)
    for line in re.sub(r"<!--.*?-->", "", body, flags=re.S).split("\n"):
        if m := COMMAND.match(line):
            found["commands"].append(m[1])
        if re.match(r"\s*(`{3,}[^`]*|~{3,}.*)$", line):
            found["fences"].append(line)
        text = outside_code(line)
        found["images"] += re.findall(r"!\[[^\]]*\]\(?[^)]*\)?", text)
        found["links"] += re.findall(r"(?<!!)\[[^\]]*\]\(([^)\s]*)", text)
        bare = re.sub(r"!?\[[^\]]*\]\([^)]*\)", " ", text)
        found["links"] += re.findall(r"(?:https?|ftp)://\S+|www\.\S+|mailto:\S+|\[[^\]]*\]\[[^\]]*\]|\S+@\S+\.\S+", bare)
        found["mentions"] += re.findall(r"(?<!\w)@[A-Za-z0-9_.][\w.-]*", text)
        found["references"] += re.findall(r"(?<!\w)(?:[#!$&]\d+|[~%](?:\w|\")[^ ]*|\[\[\w+|GL-\d+|\*iteration:\S+|\^\w+|\[(?:issue|epic|work_item|vulnerability|cadence):)", bare)
        found["html"] += re.findall(r"<[A-Za-z/!?][^>]*>?", text)
        found["emoji"] += re.findall(r":[a-z0-9_+-]*[a-z][a-z0-9_+-]*:", bare)
    return found


def run_commands(body):
    """The body that is kept, and the quick actions that were in it (outside of code blocks)."""
    kept, commands, fence = [], [], None
    for line in body.split("\n"):
        f = re.match(r"\s{0,3}(`{3,}|~{3,})", line)
        if f and (fence is None or f[1].startswith(fence)):
            fence = None if fence else f[1]
        m = COMMAND.match(line) if fence is None else None
        if m:
            commands.append(m[1])
        else:
            kept.append(line)
    return "\n".join(kept).strip(), commands


class GitLab:
    def __init__(self, args):
        self.lock = threading.RLock()
        self.args = args
        self.tokens, self.users = {}, {}
        for spec in args.token:
            token, user, role, scope = (spec.split(":") + ["", "", ""])[:4]
            if (role or "reporter") not in ROLES:
                sys.exit(f"gitlab.py: no such role: {role}")
            self.tokens[token] = {"user": self.user(user or "ml-bot"), "role": role or "reporter", "scopes": (scope or "api").split("+")}
        self.job_tokens = {t: self.user("ci-user") for t in args.job_token}
        self.faults = [self.fault_of(f) for f in args.fault]
        self.notes, self.next_id, self.uploads = {}, 1, {}
        self.file = os.path.join(args.state, "notes.json") if args.state else None
        if self.file:
            os.makedirs(args.state, exist_ok=True)
            if os.path.exists(self.file):
                with open(self.file) as f:
                    saved = json.load(f)
                self.notes, self.next_id = saved["notes"], saved["next_id"]
        self.requests = 0

    def user(self, name):
        if name not in self.users:
            n = len(self.users) + 1
            self.users[name] = {"id": 100 + n, "username": name, "name": name.title(), "state": "active", "locked": False}
        return self.users[name]

    @staticmethod
    def fault_of(text):
        """METHOD:PATH:KIND[:TIMES[:RETRY_AFTER]], a kind with a status of its own written html=503."""
        method, path, kind, times, after = (text.split(":") + ["", ""])[:5]
        return {"method": method, "path": path, "kind": kind.replace("=", ":"), "times": int(times or 1), "retry_after": int(after or 1)}

    def save(self):
        if self.file:
            with open(self.file + ".tmp", "w") as f:
                json.dump({"notes": self.notes, "next_id": self.next_id}, f)
            os.rename(self.file + ".tmp", self.file)

    def log(self, entry):
        if self.args.log:
            with self.lock, open(self.args.log, "a") as f:
                f.write(json.dumps(entry, ensure_ascii=False) + "\n")

    def note(self, project, iid, body, user, **more):
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        note = {
            "id": self.next_id, "type": None, "body": body, "author": user, "created_at": now, "updated_at": now, "system": False,
            "noteable_id": 1000 + int(iid), "noteable_type": "MergeRequest", "project_id": project, "resolvable": False,
            "confidential": False, "internal": False, "imported": False, "imported_from": "none", "noteable_iid": int(iid),
            "commands_changes": {}, **more,
        }
        self.next_id += 1
        self.notes.setdefault(str(iid), []).append(note)
        self.save()
        return note


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "nginx"
    gitlab = None

    def log_message(self, *_):
        pass

    # ---- answers ----

    def answer(self, status, value=None, headers=(), text=None, kind="application/json"):
        content = (json.dumps(value, ensure_ascii=False) if text is None else text).encode()
        if status == 204:
            content = b""
        self.entry["status"] = status
        self.gitlab.log(self.entry)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("x-request-id", f"fake-{self.entry['n']}")
        for name, v in headers:
            self.send_header(name, v)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def refuse(self, status, message=None):
        self.answer(status, {"message": message or REASONS[status]})

    def scope(self, needed):
        self.answer(403, {
            "error": "insufficient_scope", "scope": needed,
            "error_description": "The request requires higher privileges than provided by the access token.",
        })

    def fault(self):
        """Fires the first armed fault that this request meets; true when it was the answer."""
        with self.gitlab.lock:
            armed = next((f for f in self.gitlab.faults if f["times"] > 0 and f["method"] in ("*", self.command) and re.search(f["path"], self.url.path)), None)
            if not armed:
                return False
            armed["times"] -= 1
        kind, _, status = armed["kind"].partition(":")
        self.entry["fault"] = armed["kind"]
        if kind == "slow":
            time.sleep(3)
            return False
        if kind == "close":
            self.entry["status"] = None
            self.gitlab.log(self.entry)
            self.close_connection = True
        elif kind == "html":
            page = "<!DOCTYPE html>\n<html><head><title>Sign in · GitLab</title></head><body>You need to sign in</body></html>\n"
            self.answer(int(status or 200), text=page, kind="text/html; charset=utf-8")
        elif kind == "garbage":
            self.answer(200, text='[{"id": 1, "body": "cut')
        elif kind == "301":
            self.answer(301, {"message": "301 Moved Permanently"}, [("Location", armed.get("location") or "/api/v4/projects/99" + self.url.path.split("/projects/1", 1)[-1])])
        elif kind == "429":
            page = "Retry later\n"
            self.answer(429, text=page, kind="text/plain", headers=[("Retry-After", str(armed.get("retry_after", 1))), ("RateLimit-Remaining", "0")])
        else:
            self.refuse(int(kind), REASONS.get(int(kind), kind))
        return True

    # ---- who asks ----

    def authenticate(self):
        """(how, token's record) or None where there is no valid credential."""
        bearer = re.match(r"Bearer (.+)$", self.headers.get("Authorization") or "")
        ways = [("PRIVATE-TOKEN", self.headers.get("PRIVATE-TOKEN")), ("Bearer", bearer and bearer[1]), ("private_token", self.query.get("private_token"))]
        for how, token in ways:
            if token is not None:
                self.entry["auth"] = how
                found = self.gitlab.tokens.get(token)
                if found:
                    self.entry["user"] = found["user"]["username"]
                return (how, found) if found else None
        job = self.headers.get("JOB-TOKEN") or self.query.get("job_token")
        if job is not None:
            self.entry["auth"] = "JOB-TOKEN"
            user = self.gitlab.job_tokens.get(job)
            return ("JOB-TOKEN", {"user": user, "role": "developer", "scopes": ["job"]}) if user else None
        self.entry["auth"] = None
        return None

    def allowed(self, write, job_may=False):
        """The token's record, or None when the refusal has been sent."""
        who = self.authenticate()
        if not who or (who[0] == "JOB-TOKEN" and not job_may):
            self.refuse(401)
            return None
        scopes = who[1]["scopes"]
        if "job" not in scopes and "api" not in scopes and (write or "read_api" not in scopes):
            self.scope("api" if write else "api read_api")
            return None
        return who[1]

    # ---- routes ----

    def handle_any(self):
        self.url = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(self.url.query))
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.gitlab.lock:
            self.gitlab.requests += 1
            n = self.gitlab.requests
        shown = {k: v for k, v in self.query.items() if "token" not in k}
        self.entry = {"n": n, "method": self.command, "path": self.url.path, "query": shown, "status": None, "fault": None}
        if self.url.path.startswith("/__control/"):
            return self.control(raw)
        upload = self.url.path.endswith("/uploads") and (self.headers.get("Content-Type") or "").startswith("multipart/form-data")
        self.params = {} if upload else self.parse(raw)
        if self.params is None:
            return self.refuse(400, "400 Bad request - the body cannot be parsed")
        if raw:
            self.entry["params"] = {"file": len(raw)} if upload else self.params
            self.entry["type"] = self.headers.get("Content-Type")
        if self.fault():
            return None
        path = self.url.path
        if not path.startswith("/api/v4/"):
            return self.answer(404, text="<!DOCTYPE html><html><body>The page could not be found</body></html>", kind="text/html")
        path = path[len("/api/v4"):]
        if path == "/user" and self.command == "GET":
            return self.whoami()
        m = re.match(r"/projects/([^/]+)/uploads$", path)
        if m and self.command == "POST":
            return self.upload(urllib.parse.unquote(m[1]), raw)
        m = re.match(r"/projects/([^/]+)(?:/merge_requests/(\d+)(?:/notes(?:/(\d+))?)?)?$", path)
        if not m:
            return self.answer(404, {"error": "404 Not Found"})
        return self.project(m, "/notes" in path)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any

    def parse(self, raw):
        kind = (self.headers.get("Content-Type") or "").split(";")[0]
        try:
            if not raw:
                return {}
            if kind == "application/json":
                value = json.loads(raw.decode("utf-8"))
                return value if isinstance(value, dict) else None
            return dict(urllib.parse.parse_qsl(raw.decode("utf-8"), keep_blank_values=True, strict_parsing=True))
        except ValueError:
            return None

    def whoami(self):
        who = self.authenticate()
        if not who or who[0] == "JOB-TOKEN":
            return self.refuse(401)
        if not {"api", "read_api", "read_user"} & set(who[1]["scopes"]):
            return self.scope("api read_api read_user")
        return self.answer(200, {**who[1]["user"], "bot": True})

    def project(self, m, notes):
        project, iid, note_id = urllib.parse.unquote(m[1]), m[2], m[3]
        write = self.command not in ("GET", "HEAD")
        token = self.allowed(write, job_may=not write and iid is not None)
        if not token:
            return None
        if project not in self.gitlab.args.project or token["role"] == "none":
            return self.refuse(404, "404 Project Not Found")
        if iid is None:
            return self.answer(200, {"id": 1, "path_with_namespace": self.gitlab.args.project[-1]})
        if self.gitlab.args.merge_request and iid not in self.gitlab.args.merge_request:
            return self.refuse(404, "404 Not found")
        if not notes:
            return self.answer(200, {"id": 1000 + int(iid), "iid": int(iid), "project_id": 1, "state": "opened"})
        if write and token["role"] == "guest":
            return self.refuse(403)
        with self.gitlab.lock:
            if note_id:
                return self.one(iid, note_id, token)
            if self.command == "GET":
                return self.page(iid)
            return self.create(iid, token) if self.command == "POST" else self.answer(405, {"error": "405 Not Allowed"})

    def upload(self, project, raw):
        """POST /projects/:id/uploads: one file as a form; a job token is nobody there, and so sees no project."""
        who = self.authenticate()
        if who and who[0] == "JOB-TOKEN":
            return self.refuse(404, "404 Project Not Found")
        token = self.allowed(True)
        if not token:
            return None
        if project not in self.gitlab.args.project or token["role"] == "none":
            return self.refuse(404, "404 Project Not Found")
        if token["role"] == "guest":
            return self.refuse(403)
        form = email.message_from_bytes(b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n" + raw)
        parts = [p for p in form.get_payload() if p.get_param("name", header="content-disposition") == "file"] if form.is_multipart() else []
        if not parts or not parts[0].get_filename():
            return self.answer(400, {"error": "file is missing"})
        content, name = parts[0].get_payload(decode=True), parts[0].get_filename()
        if len(content) > self.gitlab.args.max_upload:
            return self.answer(413, {"message": "413 Request Entity Too Large"})
        with self.gitlab.lock:
            number = len(self.gitlab.uploads) + 1
            secret = hashlib.md5(f"{number} {name}".encode()).hexdigest()
            url = f"/uploads/{secret}/{name}"
            self.gitlab.uploads[url] = content.decode("utf-8", "replace")
        self.entry["uploaded"] = url
        alt = name.rsplit(".", 1)[0]
        return self.answer(201, {"id": number, "alt": alt, "url": url, "full_path": f"/-/project/1{url}", "markdown": f"![{alt}]({url})"})

    def page(self, iid):
        try:
            page, per = int(self.query.get("page", 1)), min(int(self.query.get("per_page", 20)), 100)
            assert page > 0 and per > 0
        except (ValueError, AssertionError):
            return self.answer(400, {"error": "page is invalid"})
        notes = sorted(self.gitlab.notes.get(iid, []), key=lambda n: n["id"], reverse=self.query.get("sort", "desc") == "desc")
        pages = max(1, -(-len(notes) // per))
        here = notes[(page - 1) * per:page * per]
        visible = [{k: v for k, v in n.items() if k != "hidden"} for n in here if not n.get("hidden")]
        nxt = str(page + 1) if page < pages else ""
        base = f"http://{self.headers.get('Host')}{self.url.path}"

        def link(number, rel):
            q = {**{k: v for k, v in self.query.items() if "token" not in k}, "page": number, "per_page": per}
            return f'<{base}?{urllib.parse.urlencode(q)}>; rel="{rel}"'

        links = [link(page + 1, "next")] if nxt else []
        links += [link(1, "first")] + ([] if self.gitlab.args.no_totals else [link(pages, "last")])
        headers = []
        if self.gitlab.args.paging in ("both", "link"):
            headers.append(("Link", ", ".join(links)))
        if self.gitlab.args.paging in ("both", "header"):
            headers += [("x-next-page", nxt), ("x-page", str(page)), ("x-per-page", str(per)), ("x-prev-page", str(page - 1) if page > 1 else "")]
        if not self.gitlab.args.no_totals and self.gitlab.args.paging != "none":
            headers += [("x-total", str(len(notes))), ("x-total-pages", str(pages))]
        return self.answer(200, visible, headers)

    def body_of(self):
        """The body parameter, or None when the refusal has been sent."""
        body = self.params.get("body")
        if "body" not in self.params:
            self.answer(400, {"error": "body is missing"})
        elif not isinstance(body, str):
            self.answer(400, {"error": "body is invalid"})
        elif not body.strip():
            self.answer(400, {"error": "body is empty"})
        elif len(body) > MAX_BODY:
            self.answer(400, {"message": {"note": [f"is too long (maximum is {MAX_BODY} characters)"]}})
        else:
            self.entry["findings"] = findings(body)
            self.entry["marker"] = re.findall(r"<!--(.*?)-->", body, re.S)
            return body.replace("\r\n", "\n")
        return None

    def create(self, iid, token):
        body = self.body_of()
        if body is None:
            return None
        kept, commands = run_commands(body)
        self.entry["ran"] = commands
        if commands and not kept:
            return self.answer(202, {"commands_changes": {c: True for c in commands}, "summary": [f"Applied /{c}." for c in commands]})
        return self.answer(201, self.gitlab.note(1, iid, kept, token["user"]))

    def one(self, iid, note_id, token):
        note = next((n for n in self.gitlab.notes.get(iid, []) if n["id"] == int(note_id) and not n.get("hidden")), None)
        if not note:
            return self.refuse(404, "404 Note Not Found")
        if self.command == "GET":
            return self.answer(200, note)
        mine = note["author"]["id"] == token["user"]["id"] or ROLES.index(token["role"]) >= ROLES.index("maintainer")
        if note["system"] or not mine:
            return self.refuse(403)
        if self.command == "DELETE":
            self.gitlab.notes[iid].remove(note)
            self.gitlab.save()
            return self.answer(204)
        if self.command != "PUT":
            return self.answer(405, {"error": "405 Not Allowed"})
        body = self.body_of()
        if body is None:
            return None
        kept, commands = run_commands(body)
        self.entry["ran"] = commands
        note["body"] = kept
        self.gitlab.save()
        return self.answer(200, note)

    # ---- control ----

    def control(self, raw):
        what = self.url.path[len("/__control/"):]
        self.entry["control"] = True
        with self.gitlab.lock:
            if what == "notes" and self.command == "GET":
                return self.answer(200, self.gitlab.notes.get(self.query.get("merge_request"), []))
            if what == "uploads" and self.command == "GET":
                return self.answer(200, self.gitlab.uploads)
            value = json.loads(raw or b"{}")
            if what == "notes":
                made = []
                for n in value["notes"]:
                    more = {"system": bool(n.get("system")), **({"hidden": True} if n.get("hidden") else {})}
                    made.append(self.gitlab.note(1, str(value["merge_request"]), n["body"], self.gitlab.user(n.get("user", "somebody")), **more)["id"])
                return self.answer(200, made)
            if what == "fault":
                self.gitlab.faults.append({"method": "*", "path": ".", "times": 1, "retry_after": 1, **value})
                return self.answer(200, {})
        return self.answer(404, {"error": html.escape(what)})


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--port-file")
    p.add_argument("--log")
    p.add_argument("--state")
    p.add_argument("--token", action="append", default=[], metavar="T[:USER[:ROLE[:SCOPE+SCOPE]]]")
    p.add_argument("--job-token", action="append", default=[], metavar="T")
    p.add_argument("--project", action="append", default=["1", "shop/sections"], metavar="ID")
    p.add_argument("--merge-request", action="append", default=[], metavar="IID", help="these exist and no others (default: all)")
    p.add_argument("--paging", choices=["both", "link", "header", "none"], default="both")
    p.add_argument("--max-upload", type=int, default=100 << 20, help="bytes that an uploaded file may have")
    p.add_argument("--no-totals", action="store_true", help="leave x-total out, as gitlab.com does for long lists")
    p.add_argument("--fault", action="append", default=[], metavar="METHOD:PATH:KIND[:TIMES[:RETRY_AFTER]]")
    args = p.parse_args()
    Handler.gitlab = GitLab(args)
    server = ThreadingHTTPServer(("127.0.0.1", args.port), Handler)
    server.daemon_threads = True
    if args.port_file:
        with open(args.port_file + ".tmp", "w") as f:
            f.write(f"{server.server_address[1]}\n")
        os.rename(args.port_file + ".tmp", args.port_file)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
