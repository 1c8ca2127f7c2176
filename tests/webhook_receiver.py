"""A receiver of webhooks as a process of its own: `python webhook_receiver.py PORT FILE SECRET`.

Standard library alone. It verifies each request by what Standard Webhooks says, written here anew, and appends a line
of JSON to FILE, on disk before it answers 200; what does not verify is a line too, and is answered 400. A file
FILE.status holds another answer, if it is there.
"""

import base64
import hashlib
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

BLOCK = 64  # bytes of SHA-256's blocks
TOLERANCE = 300  # seconds


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """RFC 2104, by hand."""
    key = (hashlib.sha256(key).digest() if len(key) > BLOCK else key).ljust(BLOCK, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + message).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in key) + inner).digest()


def verified(secret: str, headers: Any, body: bytes, now: float) -> bool:
    """Whether one of the signatures is right, and the time is near."""
    id, moment = headers.get("webhook-id") or "", headers.get("webhook-timestamp") or ""
    if not id or "." in id or not moment.isdigit() or abs(now - int(moment)) > TOLERANCE:
        return False
    key = base64.b64decode(secret[len("whsec_") :])
    right = base64.b64encode(hmac_sha256(key, b".".join((id.encode(), moment.encode(), body)))).decode()
    given = [word.split(",", 1) for word in (headers.get("webhook-signature") or "").split(" ")]
    return any(len(pair) == 2 and pair[0] == "v1" and pair[1] == right for pair in given)


def serve(port: int, file: Path, secret: str) -> None:
    """Receive until killed."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    answer = file.with_name(f"{file.name}.status")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length)
            if len(body) < length:  # the sender was killed meanwhile: nothing was received
                self.close_connection = True
                return
            right = verified(secret, self.headers, body, time.time())
            status = int(answer.read_text()) if answer.exists() else 200 if right else 400
            line = {
                "verified": right, "status": status, "id": self.headers.get("webhook-id"), "body": body.decode(),
                "headers": dict(self.headers),
            }  # fmt: skip
            os.write(descriptor, f"{json.dumps(line)}\n".encode())
            os.fsync(descriptor)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
