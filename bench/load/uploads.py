"""Large blob uploads, in the four shapes that clients use; bytes come from a file of random data by ``sendfile``."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.errors import WrongAnswerError
from bench.load.job import BlobPlan, Load, UploadJob, UploadMode, summarize
from bench.load.wire import Answer, Origin, Wire, check, path_of, request_head, with_query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FRAME_BYTES = 32 * 1024
"""The piece in which Go clients (docker) send a body of unknown length: io.Copy's buffer."""
SENDFILE_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Source:
    """The open file of random bytes behind all blobs of a job."""

    fileno: int
    patch_bytes: int

    def pieces(self, blob: BlobPlan, start: int, end: int) -> Iterator[bytes | tuple[int, int]]:
        """The blob's bytes [start, end): a file part as (offset, count), the suffix as bytes."""
        suffix = bytes.fromhex(blob.suffix_hex)
        file_end = blob.size - len(suffix)
        if start < file_end:
            yield (start, min(end, file_end) - start)
        if end > file_end:
            yield suffix[max(0, start - file_end) : end - file_end]

    def send(self, wire: Wire, blob: BlobPlan, start: int, end: int) -> None:
        """Send the bytes [start, end) as they are."""
        for piece in self.pieces(blob, start, end):
            if isinstance(piece, bytes):
                wire.socket.sendall(piece)
                continue
            offset, left = piece
            while left:
                if wire.origin.tls:
                    data = os.pread(self.fileno, min(left, SENDFILE_BYTES), offset)
                    wire.socket.sendall(data)
                    count = len(data)
                else:
                    count = os.sendfile(wire.socket.fileno(), self.fileno, offset, min(left, SENDFILE_BYTES))
                offset += count
                left -= count

    def send_framed(self, wire: Wire, blob: BlobPlan) -> None:
        """Send the whole blob with ``Transfer-Encoding: chunked``, one frame per 32 KiB."""
        for start in range(0, blob.size, FRAME_BYTES):
            end = min(start + FRAME_BYTES, blob.size)
            data = b"".join(
                piece if isinstance(piece, bytes) else os.pread(self.fileno, piece[1], piece[0])
                for piece in self.pieces(blob, start, end)
            )
            wire.socket.sendall(b"%x\r\n%b\r\n" % (len(data), data))
        wire.socket.sendall(b"0\r\n\r\n")


def _exchange(wire: Wire, method: str, target: str, headers: dict[str, str], send: Callable[[], None]) -> Answer:
    """One request whose body ``send`` writes; an answer given before the body's end is read, not lost."""
    wire.socket.sendall(request_head(wire.origin, method, target, headers))
    try:
        send()
    except (BrokenPipeError, ConnectionResetError):
        answer = wire.read_answer(method)
        message = f"{method} refused before its body was read: {answer.status} {answer.body[:200]!r}"
        raise WrongAnswerError(message) from None
    return wire.read_answer(method)


def begin_upload(wire: Wire, repository: str) -> str:
    """Open an upload session; the target to send to."""
    answer = wire.expect((202,), "POST", f"/v2/{repository}/blobs/uploads/")
    return path_of(answer.headers["location"])


def _patch(wire: Wire, target: str, headers: dict[str, str], send: Callable[[], None]) -> str:
    named = {"Content-Type": "application/octet-stream", **headers}
    answer = check(_exchange(wire, "PATCH", target, named, send), (202,), "PATCH of an upload")
    return path_of(answer.headers["location"])


def _send_stream(source: Source, wire: Wire, target: str, blob: BlobPlan) -> str:
    headers = {"Content-Length": str(blob.size)}
    return _patch(wire, target, headers, lambda: source.send(wire, blob, 0, blob.size))


def _send_framed(source: Source, wire: Wire, target: str, blob: BlobPlan) -> str:
    return _patch(wire, target, {"Transfer-Encoding": "chunked"}, lambda: source.send_framed(wire, blob))


def _send_patches(source: Source, wire: Wire, target: str, blob: BlobPlan) -> str:
    for start in range(0, blob.size, source.patch_bytes):
        end = min(start + source.patch_bytes, blob.size)
        headers = {"Content-Length": str(end - start), "Content-Range": f"{start}-{end - 1}"}

        def send(start: int = start, end: int = end) -> None:
            source.send(wire, blob, start, end)

        target = _patch(wire, target, headers, send)
    return target


BODY_SENDERS: dict[UploadMode, Callable[[Source, Wire, str, BlobPlan], str]] = {
    "stream": _send_stream,
    "framed": _send_framed,
    "patches": _send_patches,
}
"""How the bytes travel before the closing PUT; ``monolithic`` sends them with the PUT itself."""


def upload(source: Source, wire: Wire, mode: UploadMode, blob: BlobPlan) -> None:
    """Upload one blob; the server must answer 201 and name the digest that was computed beforehand."""
    target = begin_upload(wire, blob.repository)
    headers = {"Content-Type": "application/octet-stream", "Content-Length": "0"}
    if mode == "monolithic":
        headers["Content-Length"] = str(blob.size)
        final = with_query(target, f"digest={blob.digest}")
        answer = _exchange(wire, "PUT", final, headers, lambda: source.send(wire, blob, 0, blob.size))
    else:
        target = BODY_SENDERS[mode](source, wire, target, blob)
        final = with_query(target, f"digest={blob.digest}")
        answer = _exchange(wire, "PUT", final, headers, lambda: None)
    check(answer, (201,), "PUT that closes an upload")
    if answer.headers.get("docker-content-digest", blob.digest) != blob.digest:
        message = f"the server names {answer.headers['docker-content-digest']}, not {blob.digest}"
        raise WrongAnswerError(message)


def run_uploads(job: UploadJob) -> Load:
    """Upload all blobs at once, a thread and a connection each (``sendfile`` runs without the GIL)."""
    latencies: list[float] = []
    failures: list[Exception] = []
    fileno = os.open(job.source, os.O_RDONLY)
    source = Source(fileno, job.patch_bytes)

    def one(origin: Origin, blob: BlobPlan) -> None:
        try:
            with Wire(origin) as wire:
                begun = time.perf_counter()
                upload(source, wire, job.mode, blob)
                latencies.append(time.perf_counter() - begun)
        except (WrongAnswerError, OSError) as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=(job.origin, blob)) for blob in job.blobs]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    os.close(fileno)
    if failures:
        raise failures[0]
    return summarize(latencies, sum(blob.size for blob in job.blobs), seconds)
