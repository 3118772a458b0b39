"""The seam to gRPC, over real mTLS on loopback."""

import asyncio
import datetime as dt

import grpc
import pytest
from client_fakes import IDENTITY
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from heldout.errors import NotFound, Unavailable, VerificationError
from heldout.profile import Profile
from heldout.transport import Answer, GrpcTransport

UNARY = "/heldout.v1.BankService/GetStats"
SENDING = "/heldout.v1.BankService/ImportPrompts"
RECEIVING = "/heldout.v1.EvaluationService/WatchRun"
TIMEOUT_S = 10.0


class Pki:
    """Make a certificate authority and what it signs."""

    def __init__(self):
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.authority = self._sign(self._key, "authority", authority=True)

    def issue(self, *names):
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return private, self._sign(key, "leaf", names=names)

    def _sign(self, key, name, *, names=(), authority=False):
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
            .not_valid_after(dt.datetime(2100, 1, 1, tzinfo=dt.UTC))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


async def abort(context):
    info = any_pb2.Any()
    info.Pack(error_details_pb2.ErrorInfo(reason="NOT_FOUND", domain="heldout"))
    details = status_pb2.Status(details=[info]).SerializeToString()
    await context.abort(grpc.StatusCode.NOT_FOUND, "x", (("grpc-status-details-bin", details),))


class Echo(grpc.GenericRpcHandler):
    """Answer with what was asked, and a receipt."""

    def __init__(self):
        self.received = []
        self.heard, self.cancelled = asyncio.Event(), asyncio.Event()

    def service(self, details):
        return {
            UNARY: grpc.unary_unary_rpc_method_handler(self.unary),
            SENDING: grpc.stream_unary_rpc_method_handler(self.collect),
            RECEIVING: grpc.unary_stream_rpc_method_handler(self.spread),
        }[details.method]

    async def unary(self, request, context):
        if request == b"missing":
            await abort(context)
        if request == b"slow":
            await asyncio.Event().wait()
        if request != b"plain":
            context.set_trailing_metadata((("other", "text"), ("heldout-receipt-bin", b"\x00receipt")))
        return request

    async def collect(self, requests, context):
        try:
            async for request in requests:
                self.received.append(request)
                self.heard.set()
                if request == b"enough":
                    return b"early"
                if request == b"refuse":
                    await abort(context)
            if request == b"hold":
                # To a servicer a cancelled stream looks like one that ended, until the cancellation comes.
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return b"".join(self.received)

    async def spread(self, request, context):
        for part in request.split():
            if part == b"break":
                await context.abort(grpc.StatusCode.NOT_FOUND, "x")
            yield part
        context.set_trailing_metadata((("heldout-receipt-bin", b"end"),))


@pytest.fixture(scope="module")
def pki():
    return Pki()


@pytest.fixture
async def echo(pki):
    handler = Echo()
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    server.add_generic_rpc_handlers((handler,))
    key, certificate = pki.issue(x509.DNSName("localhost"))
    credentials = grpc.ssl_server_credentials([(key, certificate)], pki.authority, require_client_auth=True)
    handler.port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    yield handler
    await server.stop(grace=None)


def profile_of(pki, port, **changes):
    key, certificate = pki.issue(x509.UniformResourceIdentifier(IDENTITY))
    fields = {
        "address": f"127.0.0.1:{port}",
        "server_name": "localhost",
        "authority": pki.authority,
        "certificate": certificate,
        "key": key,
        "identity": IDENTITY,
        "vkeys": {},
    }
    return Profile(**{**fields, **changes})


@pytest.fixture
async def transport(pki, echo):
    made = GrpcTransport(profile_of(pki, echo.port))
    yield made
    await made.close()


async def test_bytes_go_out_and_come_back_with_their_receipt(transport):
    assert await transport.unary(UNARY, b"\xff\x00", timeout_s=TIMEOUT_S) == Answer(b"\xff\x00", b"\x00receipt")


async def test_no_receipt_is_none(transport):
    assert await transport.unary(UNARY, b"plain", timeout_s=TIMEOUT_S) == Answer(b"plain", None)


async def test_a_status_becomes_its_error(transport):
    with pytest.raises(NotFound) as caught:
        await transport.unary(UNARY, b"missing", timeout_s=TIMEOUT_S)
    assert caught.value.reason == "NOT_FOUND"
    assert caught.value.__cause__ is None


async def test_a_call_ends_at_its_deadline(transport):
    with pytest.raises(Unavailable, match="in time"):
        await transport.unary(UNARY, b"slow", timeout_s=0.05)


async def test_many_messages_go_out(transport):
    async def requests():
        yield b"a"
        yield b"b"

    assert (await transport.send_stream(SENDING, requests(), timeout_s=TIMEOUT_S)).body == b"ab"


async def test_a_source_that_raises_cancels_the_call(transport, echo):
    async def requests():
        yield b"hold"
        await echo.heard.wait()
        raise ValueError("bad row")

    with pytest.raises(ValueError, match="bad row"):
        await transport.send_stream(SENDING, requests(), timeout_s=TIMEOUT_S)
    async with asyncio.timeout(TIMEOUT_S):
        await echo.cancelled.wait()


async def test_a_call_that_is_refused_while_sending_gives_its_error(transport):
    async def requests():
        while True:
            yield b"refuse"

    for _ in range(20):  # a race inside gRPC: see the transport
        with pytest.raises(NotFound):
            await transport.send_stream(SENDING, requests(), timeout_s=TIMEOUT_S)


async def test_an_answer_to_half_a_stream_is_not_believed(transport):
    async def requests():
        while True:
            yield b"enough"

    with pytest.raises(VerificationError, match="before it had heard everything"):
        await transport.send_stream(SENDING, requests(), timeout_s=TIMEOUT_S)


async def test_many_answers_come_back_and_then_the_receipt(transport):
    answers = [one async for one in transport.receive_stream(RECEIVING, b"a b", timeout_s=TIMEOUT_S)]
    assert answers == [Answer(b"a", None), Answer(b"b", None), Answer(None, b"end")]


async def test_a_stream_that_breaks_gives_its_error(transport):
    answers = transport.receive_stream(RECEIVING, b"a break", timeout_s=TIMEOUT_S)
    assert (await anext(answers)).body == b"a"
    with pytest.raises(NotFound):
        await anext(answers)


async def test_nobody_there_is_unavailable(pki):
    closed = GrpcTransport(profile_of(pki, 1))
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        await closed.unary(UNARY, b"", timeout_s=TIMEOUT_S)
    await closed.close()


async def test_an_appliance_of_another_authority_is_not_believed(echo):
    stranger = Pki()
    transport = GrpcTransport(profile_of(stranger, echo.port))
    with pytest.raises(Unavailable):
        await transport.unary(UNARY, b"plain", timeout_s=TIMEOUT_S)
    await transport.close()


async def test_without_a_server_name_the_address_must_be_in_the_certificate(pki, echo):
    transport = GrpcTransport(profile_of(pki, echo.port, server_name=""))
    with pytest.raises(Unavailable):
        await transport.unary(UNARY, b"plain", timeout_s=TIMEOUT_S)
    await transport.close()
