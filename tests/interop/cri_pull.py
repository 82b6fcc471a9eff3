"""Pull an image as the kubelet does: one CRI call to containerd. Run by the clients' own Python, which has grpc.

    python cri_pull.py SOCKET IMAGE USER < PASSWORD

The request has four short fields, so it is written by hand rather than by a compiler of the whole protocol:
PullImageRequest { ImageSpec image = 1 { string image = 1 }; AuthConfig auth = 2 { string username = 1, password = 2 } }
"""

from __future__ import annotations

import importlib
import sys

METHOD = "/runtime.v1.ImageService/PullImage"
PULL_SECONDS = 120


def field(number: int, content: bytes) -> bytes:
    """One length-delimited field of a protocol buffer."""
    length, size = len(content), b""
    while length > 0x7F:
        size += bytes([length & 0x7F | 0x80])
        length >>= 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + content


def main() -> None:
    """Pull, and print the image's id as containerd tells it."""
    socket, image, user = sys.argv[1:]
    log_in = field(1, user.encode()) + field(2, sys.stdin.read().encode())
    request = field(1, field(1, image.encode())) + field(2, log_in)
    grpc = importlib.import_module("grpc")  # not installed where the types are checked
    with grpc.insecure_channel(f"unix://{socket}") as channel:
        pull = channel.unary_unary(METHOD)
        sys.stdout.write(pull(request, timeout=PULL_SECONDS)[2:].decode() + "\n")


if __name__ == "__main__":
    main()
