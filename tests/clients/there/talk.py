"""Says hello to an echo on a TCP port or at a path, ends its half, and prints all that came back."""
import socket
import sys

where = sys.argv[1]
if where.isdigit():
    peer = socket.create_connection(("127.0.0.1", int(where)))
else:
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(where)
peer.settimeout(20)
peer.sendall(b"hello\n")
said = b""
while not said.endswith(b"\n"):
    data = peer.recv(100)
    if not data:
        sys.exit("closed early")
    said += data
peer.shutdown(socket.SHUT_WR)
while data := peer.recv(65536):
    said += data
print(said.decode(), end="")
