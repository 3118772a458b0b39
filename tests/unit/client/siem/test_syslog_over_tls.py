"""Syslog over TLS: to the receiver whose authority was named, and to nobody else."""

import datetime as dt
import ipaddress
import socket
import ssl
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from heldout.siem import SinkError, SyslogSink, parse_target
from heldout.verification.entry import Entry

ENTRY = Entry(
    index=7, kind="event", name="start", identity="", role="", time_s=1_795_572_840, counter=0, details={}
)  # fmt: skip


def certify(folder):
    """Write a certificate for 127.0.0.1 with its key, and return its path."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "siem")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2040, 1, 1, tzinfo=dt.UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "siem.pem"
    file.write_bytes(built.public_bytes(serialization.Encoding.PEM) + secret)
    return file


@pytest.fixture
def receiver(tmp_path):
    """Take one connection over TLS and keep what comes."""
    file = certify(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    received = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                try:
                    with context.wrap_socket(connection, server_side=True) as wrapped:
                        while data := wrapped.recv(9000):
                            received.append(data)
                except OSError:
                    received.append(b"refused")

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], file, received, thread
        thread.join(5)


def test_the_named_authority_is_believed(receiver):
    port, file, received, thread = receiver
    sink = SyslogSink(parse_target(f"tls://127.0.0.1:{port}"), authority=str(file))
    sink.send([ENTRY], origin="lab/vault")
    sink.close()
    thread.join(5)
    assert b"<109>1 2026-11-25T02:14:00Z lab/vault heldout - event" in b"".join(received)


def test_a_receiver_of_another_authority_gets_nothing(receiver):
    port, _, received, thread = receiver
    with pytest.raises(SinkError):
        SyslogSink(parse_target(f"tls://127.0.0.1:{port}")).send([ENTRY], origin="lab/vault")
    thread.join(5)
    assert received == [b"refused"]
