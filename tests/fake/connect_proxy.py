#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""An HTTP proxy for CONNECT that brings every host to one place: registry.example can be spoken to with real TLS, and nothing leaves the machine.

usage: connect_proxy.py --port-file F --log F HOST:PORT
"""
import argparse
import os
import socket
import socketserver
import threading


def pour(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
    except OSError:
        pass
    for s in (a, b):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Proxy(socketserver.StreamRequestHandler):
    def handle(self):
        first = self.rfile.readline().decode("latin-1").split()
        while self.rfile.readline().strip():
            pass
        with open(self.server.log, "a", encoding="utf-8") as f:
            f.write(" ".join(first) + "\n")
        if not first or first[0] != "CONNECT":
            return
        host, port = self.server.target.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as up:
            self.wfile.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=pour, args=(up, self.connection))
            back.start()
            pour(self.connection, up)
            back.join()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--port-file", required=True)
    p.add_argument("--log", required=True)
    p.add_argument("target")
    a = p.parse_args()
    s = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Proxy)
    s.daemon_threads, s.target, s.log = True, a.target, a.log
    with open(a.port_file + ".new", "w", encoding="utf-8") as f:
        f.write(str(s.server_address[1]))
    os.rename(a.port_file + ".new", a.port_file)
    s.serve_forever()


main()
