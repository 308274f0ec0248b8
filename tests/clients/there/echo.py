"""An echo that says bye when its client has said all: on a TCP port, or at a path."""
import os
import socket
import socketserver
import sys


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)
        self.request.sendall(b"bye\n")


class Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class Unix(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


where = sys.argv[1]
server = Tcp(("127.0.0.1", int(where)), Echo) if where.isdigit() else Unix(where, Echo)
server.serve_forever()
