"""A security key in software: writes an enrolment line, or logs in with the flags that it is told.

fido.py enrol FILE              makes FILE (the seed) and FILE.pub for both kinds
fido.py login PORT USER FILE KIND FLAGS [APPLICATION]
"""

import hashlib
import struct
import sys

import paramiko
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from paramiko.message import Message

KINDS = {"ed25519": "sk-ssh-ed25519@openssh.com", "ecdsa": "sk-ecdsa-sha2-nistp256@openssh.com"}


class SecurityKey(paramiko.PKey):
    def __init__(self, kind, seed, flags=1, application="ssh:"):
        self.kind, self.flags, self.application = kind, flags, application
        if kind == "ed25519":
            self.private = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
        else:
            self.private = ec.derive_private_key(int.from_bytes(seed, "big") >> 1, ec.SECP256R1())

    def get_name(self):
        return KINDS[self.kind]

    def get_bits(self):
        return 256

    def can_sign(self):
        return True

    # What is enrolled names `ssh:`; what is signed may name another application.
    def asbytes(self):
        message = Message()
        message.add_string(self.get_name())
        encoding, public = serialization.Encoding, self.private.public_key()
        if self.kind == "ed25519":
            message.add_string(public.public_bytes(encoding.Raw, serialization.PublicFormat.Raw))
        else:
            message.add_string("nistp256")
            message.add_string(public.public_bytes(encoding.X962, serialization.PublicFormat.UncompressedPoint))
        message.add_string("ssh:")
        return message.asbytes()

    def sign_ssh_data(self, data, algorithm=None):
        trailer = struct.pack(">BI", self.flags, 7)
        signed = hashlib.sha256(self.application.encode()).digest() + trailer + hashlib.sha256(data).digest()
        message = Message()
        message.add_string(self.get_name())
        if self.kind == "ed25519":
            message.add_string(self.private.sign(signed))
        else:
            parts = Message()
            for part in decode_dss_signature(self.private.sign(signed, ec.ECDSA(hashes.SHA256()))):
                parts.add_mpint(part)
            message.add_string(parts.asbytes())
        message.add_bytes(trailer)
        return message


def enrol(file):
    import base64
    import os

    seed = os.urandom(32)
    with open(file, "wb") as out:
        out.write(seed)
    for kind in KINDS:
        key = SecurityKey(kind, seed)
        with open(f"{file}-{kind}.pub", "w") as out:
            out.write(f"{key.get_name()} {base64.b64encode(key.asbytes()).decode()} in-software\n")


def login(port, user, file, kind, flags, application="ssh:"):
    with open(file, "rb") as source:
        seed = source.read()
    transport = paramiko.Transport(("127.0.0.1", int(port)))
    transport.start_client(timeout=30)
    try:
        transport.auth_publickey(user, SecurityKey(kind, seed, int(flags), application))
        print("IN" if transport.is_authenticated() else "OUT")
    except paramiko.AuthenticationException:
        print("OUT")
    transport.close()


if __name__ == "__main__":
    {"enrol": enrol, "login": login}[sys.argv[1]](*sys.argv[2:])
