"""The other processes of the findings benchmark: a bare echo over mTLS, and the client of both servers.

The client sends and takes bytes and looks at nothing, so that it costs as little as it can.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc
import grpc.aio

METHOD = "/heldout.v1.FindingsService/GetRelease"
RECEIPT_KEY = "heldout-receipt-bin"
OPTIONS = (("grpc.use_local_subchannel_pool", 1),)


async def serve_echo(pki: Path, size_bytes: int) -> None:
    """Answer every call with so many bytes; say the port, then serve until the end of standard input."""
    answer = bytes(size_bytes)

    async def call(_request: bytes, _context: grpc.aio.ServicerContext) -> bytes:
        return answer

    class Everything(grpc.GenericRpcHandler):
        def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            return grpc.unary_unary_rpc_method_handler(call)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Everything(),))
    credentials = grpc.ssl_server_credentials(
        [((pki / "server.key").read_bytes(), (pki / "server.pem").read_bytes())],
        root_certificates=(pki / "ca.pem").read_bytes(),
        require_client_auth=True,
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)


async def ask_once(pki: Path, port: int, request: bytes) -> dict[str, str]:
    """Return one answer and its receipt, in hex."""
    async with _channel(pki, port) as channel:
        call = _method(channel)(request)
        answer = await call
        receipt = dict(await call.trailing_metadata())[RECEIPT_KEY]
        return {"answer": answer.hex(), "receipt": receipt.hex()}


async def load(
    pki: Path, ports: Sequence[int], request: bytes, *, calls: int, rounds: int, in_flight: int
) -> list[list[dict[str, float]]]:
    """Ask each port in turn, round after round, and return rate and times of each round by port."""
    figures: list[list[dict[str, float]]] = [[] for _ in ports]
    for number in range(rounds + 1):
        for place, port in enumerate(ports):
            async with _channel(pki, port) as channel:
                ask = _method(channel)
                await ask(request)  # the handshake is not what is measured
                figure = await _round(ask, request, calls=calls, in_flight=in_flight)
            if number:
                figures[place].append(figure)
    return figures


async def _round(ask: Callable[[bytes], object], request: bytes, *, calls: int, in_flight: int) -> dict[str, float]:
    left = iter(range(calls))
    taken: list[float] = []

    async def work() -> None:
        for _ in left:
            began = time.perf_counter()
            await ask(request)
            taken.append(time.perf_counter() - began)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(work())
    seconds = time.perf_counter() - began
    return {
        "rate": calls / seconds,
        "p50_ms": 1_000 * statistics.median(taken),
        "p99_ms": 1_000 * statistics.quantiles(taken, n=100)[98],
    }


def _channel(pki: Path, port: int) -> grpc.aio.Channel:
    credentials = grpc.ssl_channel_credentials(
        root_certificates=(pki / "ca.pem").read_bytes(),
        private_key=(pki / "trainer.key").read_bytes(),
        certificate_chain=(pki / "trainer.pem").read_bytes(),
    )
    return grpc.aio.secure_channel(f"localhost:{port}", credentials, options=OPTIONS)


def _method(channel: grpc.aio.Channel) -> Callable[[bytes], object]:
    return channel.unary_unary(METHOD, request_serializer=None, response_deserializer=None)


def main() -> None:
    """Be the echo, or the client; results go to standard output as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=("echo", "once", "load"))
    parser.add_argument("--pki", type=Path, required=True)
    parser.add_argument("--size-bytes", type=int, default=0)
    parser.add_argument("--request", type=bytes.fromhex, default=b"")
    parser.add_argument("--ports", type=int, nargs="*", default=())
    parser.add_argument("--calls", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--in-flight", type=int, default=1)
    options = parser.parse_args()
    if options.part == "echo":
        asyncio.run(serve_echo(options.pki, options.size_bytes))
        return
    if options.part == "once":
        result: object = asyncio.run(ask_once(options.pki, options.ports[0], options.request))
    else:
        result = asyncio.run(
            load(
                options.pki,
                options.ports,
                options.request,
                calls=options.calls,
                rounds=options.rounds,
                in_flight=options.in_flight,
            )
        )
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
