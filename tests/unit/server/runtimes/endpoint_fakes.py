"""An endpoint that answers with whatever bytes a test gives it."""

from __future__ import annotations

import asyncio
import json

NEVER = object()
"""A reply that does not come."""


def reply(body=b"", *, status=200, content_type="application/json", length=None, **headers):
    """Return the bytes of an HTTP response; ``length`` may lie."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body) if length is None else length}"]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def completion(content="hello", finish_reason="stop", **message):
    """Return the body of a chat completion."""
    choice = {
        "index": 0,
        "finish_reason": finish_reason,
        "message": {"role": "assistant", "content": content} | message,
    }
    return json.dumps({"choices": [choice]}).encode()


class Endpoint:
    """Give each request the next reply: bytes, NEVER, or None to hang up. The last one stays."""

    def __init__(self, origin):
        self.origin = origin
        self.replies = []
        self.requests = []
        self.heads = []
        self.connections = 0

    async def converse(self, reader, writer):
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(
                    (int(h.split(":")[1]) for h in head.split("\r\n") if h.lower().startswith("content-length")), 0
                )
                body = await reader.readexactly(length)
                self.heads.append(head)
                self.requests.append(json.loads(body) if body else None)
                answer = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                if answer is NEVER:
                    await reader.read()
                    return
                if answer is None:
                    return
                writer.write(answer)
                await writer.drain()
                if b"Connection: close" in answer:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
