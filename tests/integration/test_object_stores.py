"""Checkpoints from an S3 server of its own (moto, in a child process on loopback), read by the shipped source."""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import obstore
import pytest
from obstore.store import from_url

from heldout_server.checkpoints import FolderSource, SqlCheckpoints, open_source
from heldout_server.checkpoints.intake import stage
from heldout_server.checkpoints.sources.objects import ObjectSource
from heldout_server.config.place import Place
from heldout_server.config.watch import Store
from heldout_server.domain import CheckpointFacts, CheckpointState
from heldout_server.environment import SystemClock
from heldout_server.errors import StorageError
from served_appliance import until

SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
"""Serves until its standard input closes, so that it never outlives the tests."""

STAGE = """
import re, sys, threading
from pathlib import Path
from heldout_server.checkpoints import open_source
from heldout_server.checkpoints.intake import stage
from heldout_server.config.place import Place
from heldout_server.config.watch import Store
endpoint, staging = sys.argv[1:]
options = {"endpoint": endpoint, "allow_http": True, "access_key_id": "k", "secret_access_key": "s", "region": "r"}
source = open_source(Store(url="s3://big/lab", options=options, place=Place("config.toml", 1), option_places={}))
staged = stage(source, name="nova-1", staging=Path(staging), stop=threading.Event(), quota=4 * 1024**3)
held_kib = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(staged.digest, staged.facts.precision, int(held_kib) // 1024)
"""
"""Stages one checkpoint and prints its digest, its precision, and how much memory the process ever held, in MiB.

``ru_maxrss`` would be the test's own where that is larger: it survives exec.
"""

MIB = 1024 * 1024
SECRET = "mild-made-up-secret"


class FixedRing:
    def database_key(self, name):
        return hashlib.sha256(name.encode()).digest()


@dataclass(frozen=True)
class Bucket:
    """Put checkpoints into a bucket of the server."""

    endpoint: str
    name: str

    @property
    def options(self):
        return {"endpoint": self.endpoint, "access_key_id": "k", "secret_access_key": SECRET, "region": "us-east-1"}

    def client(self):
        return from_url(f"s3://{self.name}/lab", config=self.options, client_options={"allow_http": True})

    def source(self, **keywords):
        client = from_url(
            f"s3://{self.name}/lab",
            config=self.options,
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )
        return ObjectSource(client, **keywords)

    def put_key(self, key, content=b""):
        """Put one object as it is called, without a client that would mend its name."""
        _put(f"{self.endpoint}/{self.name}/{urllib.request.quote(key)}", content)

    def put(self, checkpoint, files):
        client = self.client()
        for path, content in files.items():
            obstore.put(client, f"{checkpoint}/{path}", content)
        obstore.put(client, f"{checkpoint}/READY", b"")


def _put(url, content=b""):
    request = urllib.request.Request(url, data=content, method="PUT")  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - loopback
        assert answer.status == 200


@pytest.fixture(scope="module")
def s3_endpoint(tmp_path_factory):
    environment = os.environ | {"TMPDIR": str(tmp_path_factory.mktemp("moto"))}
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as server:
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.stdin.close()
        server.wait(20)


@pytest.fixture
def make_bucket(s3_endpoint):
    def make(name):
        _put(f"{s3_endpoint}/{name}")
        return Bucket(s3_endpoint, name)

    return make


def safetensors(data):
    header = json.dumps({"weights": {"dtype": "BF16", "shape": [len(data) // 2], "data_offsets": [0, len(data)]}})
    return len(header).to_bytes(8, "little") + header.encode() + data


def checkpoint_files(name="nova-1", data=b"weights!"):
    return {
        "checkpoint.toml": f'name = "{name}"\nline = "nova"\nruntime = "scripted"\n'.encode(),
        "config.json": b'{"model_type": "llama"}',
        "model.safetensors": safetensors(data),
        "tokenizer/vocab.json": b"{}",
        "empty": b"",
    }


def write_folder(folder, files):
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


@pytest.fixture
def open_registry(tmp_path):
    """Open registries over a source, closed at the end."""
    (tmp_path / "staging").mkdir()
    opened = []

    def open_over(source):
        registry = SqlCheckpoints.open(
            tmp_path / "checkpoints.db",
            keys=FixedRing(),
            clock=SystemClock(),
            source=source,
            staging=tmp_path / "staging",
        )
        opened.append(registry)
        return registry

    yield open_over
    for registry in opened:
        registry.close()


async def test_a_checkpoint_in_s3_is_staged_in_parts_as_one_in_a_folder_is(make_bucket, open_registry, tmp_path):
    files = checkpoint_files(data=os.urandom(5 * MIB))
    bucket = make_bucket("same")
    bucket.put("nova-1", files)
    obstore.put(bucket.client(), "nova-2/half", b"not ready")
    registry = open_registry(bucket.source(part_bytes=MIB))

    (one,) = await registry.scan()

    assert (one.state, one.reason) == (CheckpointState.STAGED, "")
    assert one.facts == CheckpointFacts(precision="bf16", architecture="llama")
    for path, content in files.items():
        assert (Path(one.path) / path).read_bytes() == content
    await registry.verify(one)
    assert await registry.scan() == ()
    write_folder(tmp_path / "folder" / "nova-1", files)
    (tmp_path / "other").mkdir()
    folder = stage(
        FolderSource(tmp_path / "folder"),
        name="nova-1",
        staging=tmp_path / "other",
        stop=threading.Event(),
        quota=10**9,
    )
    assert folder.digest == one.digest


async def test_hostile_keys_refuse_their_checkpoint_and_no_other(make_bucket, open_registry):
    bucket = make_bucket("hostile")
    for name in ("dots", "empty", "back", "nova-1"):
        bucket.put(name, checkpoint_files(name))
    for key in ("dots/../../outside", "empty//x", "back/a\\b"):
        bucket.put_key(f"lab/{key}", b"x")

    found = await open_registry(bucket.source()).scan()

    assert {one.name: one.reason for one in found} == {
        "dots": "bad_name",
        "empty": "bad_name",
        "back": "bad_name",
        "nova-1": "",
    }


async def test_folders_that_a_console_makes_are_no_files(make_bucket, open_registry):
    bucket = make_bucket("console")
    bucket.put("nova-1", checkpoint_files())
    for key in ("lab/", "lab/nova-1/", "lab/nova-1/tokenizer/"):
        bucket.put_key(key)

    (one,) = await open_registry(bucket.source()).scan()

    assert one.reason == ""
    assert (Path(one.path) / "tokenizer" / "vocab.json").is_file()


async def test_a_bucket_that_is_not_there_is_a_source_that_fails(make_bucket, open_registry):
    bucket = Bucket(make_bucket("there").endpoint, "nowhere")
    with pytest.raises(StorageError) as caught:
        await open_registry(bucket.source()).scan()
    assert (caught.value.reason, str(caught.value)) == ("SOURCE", "the source answers with status 404")


def test_a_config_opens_s3_with_its_secret_in_a_file(make_bucket, tmp_path):
    bucket = make_bucket("configured")
    bucket.put("nova-1", checkpoint_files())
    (tmp_path / "secret").write_text(SECRET + "\n")
    options = bucket.options | {"secret_access_key": tmp_path / "secret", "allow_http": True, "timeout": "20s"}
    store = Store(url="s3://configured/lab", options=options, place=Place("config.toml", 1), option_places={})
    assert SECRET not in repr(store)
    source = open_source(store)
    (ready,) = source.find_ready(lambda _name: False, stop=threading.Event())
    assert ready.folder == "nova-1"


async def test_an_appliance_tests_a_checkpoint_that_appears_in_s3(make_bucket, served):
    bucket = make_bucket("whole")
    config = served.folder / "config.toml"
    options = "\n".join(f'{name} = "{value}"' for name, value in bucket.options.items())
    text = re.sub(r'^source = ".*"$', 'source = "s3://whole/lab"', config.read_text(), flags=re.MULTILINE)
    config.write_text(f"{text}\n[watch.options]\nallow_http = true\n{options}\n")
    bucket.put("nova-1", checkpoint_files())
    await served.start()
    operator = await served.client("operator")
    found = await until(operator.checkpoints.list)
    assert [(one.name, one.reason) for one in found] == [("nova-1", "")]
    assert SECRET not in served.log.read_text()


@pytest.mark.slow
def test_two_gibibytes_from_s3_are_staged_in_under_200_mib_of_memory(make_bucket, tmp_path):
    shard = safetensors(os.urandom(64 * MIB))
    bucket = make_bucket("big")
    files = {path: content for path, content in checkpoint_files().items() if path != "model.safetensors"}
    bucket.put("nova-1", files | {f"model-{n:02}.safetensors": shard for n in range(32)})
    (tmp_path / "staging").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", STAGE, bucket.endpoint, str(tmp_path / "staging")],
        check=True,
        capture_output=True,
        text=True,
        timeout=600,
    )
    digest, precision, peak_mib = done.stdout.split()
    assert (len(digest), precision) == (64, "bf16")
    assert int(peak_mib) < 200
