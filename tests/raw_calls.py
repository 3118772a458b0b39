"""Calls of raw bytes over mTLS, and what stands in the logs of a lab: for tests of the door."""

import json

import grpc
from google.rpc import error_details_pb2, status_pb2

from heldout_server.api.contract import methods

METHODS = methods()

LOCALHOST = (("grpc.ssl_target_name_override", "localhost"), ("grpc.use_local_subchannel_pool", 1))


def channel_of(lab, role):
    """Open a channel as a role."""
    profile = lab.profile(role)
    return channel_with(profile.address, profile.authority, profile.key, profile.certificate)


def channel_with(address, authority, key=None, certificate=None):
    """Open a channel with a client certificate, or with none."""
    credentials = grpc.ssl_channel_credentials(authority, key, certificate)
    return grpc.aio.secure_channel(address, credentials, options=LOCALHOST)


async def call(channel, name, payload=b"", *, timeout_s=5):
    """Send raw bytes, and return the status code, its reason and its message; OK has no reason."""
    shape = METHODS[name].shape if name in METHODS else "unary_unary"

    async def one():
        yield payload

    try:
        calling = getattr(channel, shape)(name)(one() if shape.startswith("stream") else payload, timeout=timeout_s)
        if shape.endswith("stream"):
            async for _ in calling:
                pass
        else:
            await calling
    except grpc.aio.AioRpcError as error:
        info = error_details_pb2.ErrorInfo()
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                status_pb2.Status.FromString(value).details[0].Unpack(info)
        return error.code(), info.reason, error.details()
    return grpc.StatusCode.OK, "", ""


async def entries_of(lab, half):
    """Return all entries of a log, as an auditor reads them."""
    auditor = await lab.client("auditor")
    head = (await auditor.audit.head(half)).head
    found = []
    async for page in auditor.audit.entries(half, start=0, stop=head.size):
        found += [json.loads(entry) for entry in page.entries]
    return found


async def events_of(lab, half, name):
    """Return the details of all events of a name in a log."""
    return [
        entry["details"] for entry in await entries_of(lab, half) if (entry["kind"], entry["name"]) == ("event", name)
    ]
