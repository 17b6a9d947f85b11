# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures made and read past our own tools. usage: keys.py encrypt IN PASSWORD [N] | payload MANIFEST I | signature MANIFEST I"""
import base64
import ctypes
import ctypes.util
import hashlib
import json
import os
import subprocess
import sys


def encrypt(file, password, n=32768):
    """A private key as cosign keeps it: PKCS #8 in a NaCl secretbox under a key that scrypt made (go-securesystemslib, encrypted)."""
    der = subprocess.run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", file, "-outform", "DER"], check=True, capture_output=True).stdout
    salt, nonce = os.urandom(32), os.urandom(24)
    key = hashlib.scrypt(password.encode(), salt=salt, n=n, r=8, p=1, maxmem=1 << 30, dklen=32)
    sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))
    box = ctypes.create_string_buffer(len(der) + 16)
    assert sodium.crypto_secretbox_easy(box, der, ctypes.c_ulonglong(len(der)), nonce, key) == 0
    b64 = lambda b: base64.b64encode(b).decode()
    doc = {"kdf": {"name": "scrypt", "params": {"N": n, "r": 8, "p": 1}, "salt": b64(salt)},
           "cipher": {"name": "nacl/secretbox", "nonce": b64(nonce)}, "ciphertext": b64(box.raw)}
    text = base64.b64encode(json.dumps(doc, separators=(",", ":")).encode()).decode()
    lines = [text[i:i + 64] for i in range(0, len(text), 64)]
    print("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----", *lines, "-----END ENCRYPTED SIGSTORE PRIVATE KEY-----", sep="\n")


def main(what, *args):
    if what == "encrypt":
        encrypt(args[0], args[1], int(args[2]) if len(args) > 2 else 32768)
        return
    layer = json.load(open(args[0]))["layers"][int(args[1])]
    if what == "payload":
        print(layer["digest"])
    else:
        sys.stdout.buffer.write(base64.b64decode(layer["annotations"]["dev.cosignproject.cosign/signature"]))


main(*sys.argv[1:])
