import dataclasses

import pytest

from heldout_server.config import load_config
from heldout_server.config.appliance import DEFAULT_STACKS, DEFAULT_TECHNIQUES
from heldout_server.errors import ConfigError

MINIMAL = """\
[appliance]
name = "lab-1"

[listen]
address = "127.0.0.1:0"
health_address = "127.0.0.1:0"

[tls]
ca = "ca.pem"
certificate = "server.pem"
key = "server.key"

[keys]
root = "root.key"
ring = "ring.json"

[policy]
folder = "policy"
signer = "signer.pem"

[data]
vault = "vault"
window = "window"
staging = "staging"
run = "run"

[watch]
source = "checkpoints"
"""


@pytest.fixture
def folder(tmp_path):
    for name in ("ca.pem", "server.pem", "server.key", "root.key", "ring.json", "signer.pem"):
        (tmp_path / name).touch()
    for name in ("policy", "vault", "window", "staging", "run", "checkpoints"):
        (tmp_path / name).mkdir()
    return tmp_path


def load(folder, text):
    (folder / "config.toml").write_text(text)
    return load_config(folder / "config.toml")


def refused(folder, text):
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return str(caught.value)


def test_what_is_not_said_has_the_documented_default(folder):
    config = load(folder, MINIMAL)
    assert config.appliance.name == "lab-1"
    assert config.listen.address == "127.0.0.1:0"
    assert (config.watch.poll_s, config.watch.auto_run) == (1.0, True)
    assert config.plan.techniques == DEFAULT_TECHNIQUES
    assert config.plan.stacks == DEFAULT_STACKS
    assert config.plan.attempts == 1
    assert dataclasses.astuple(config.evaluation) == (64, 30.0, True)
    assert (config.runtimes.isolation, config.runtimes.patience_s, config.runtimes.endpoints) == ("namespace", 1800, ())
    assert dataclasses.astuple(config.runtimes.llamacpp) == (4096, 1, 0, 600.0)
    assert dataclasses.astuple(config.sampling) == (0.0, 1.0, 0, 0.0, 1.0, 512, "engine", "chat")
    assert dataclasses.astuple(config.system_prompt) == ("", None)
    assert dataclasses.astuple(config.telemetry) == ("console", "info", 0.0)


def test_what_is_said_is_taken(folder):
    config = load(
        folder,
        MINIMAL + "poll_s = 0.25\nauto_run = false\n"
        '[plan]\ntechniques = ["plain", "base64"]\nstacks = [["base64", "fiction"]]\nattempts = 3\n'
        "[evaluation]\nin_flight = 2000\ndeadline_s = 5\npreflight = false\n"
        '[runtimes]\nisolation = "none"\n'
        '[telemetry]\nlog_format = "json"\nlog_level = "debug"\nmetrics_interval_s = 15\n',
    )
    assert (config.watch.poll_s, config.watch.auto_run) == (0.25, False)
    assert dataclasses.astuple(config.plan) == (("plain", "base64"), (("base64", "fiction"),), 3)
    assert dataclasses.astuple(config.evaluation) == (2000, 5.0, False)
    assert isinstance(config.evaluation.deadline_s, float)
    assert config.runtimes.isolation == "none"
    assert dataclasses.astuple(config.telemetry) == ("json", "debug", 15.0)


def test_a_plan_may_have_no_stacks(folder):
    assert load(folder, MINIMAL + "[plan]\nstacks = []\n").plan.stacks == ()


def test_paths_are_relative_to_the_file_and_become_absolute(folder, monkeypatch):
    (folder / "config.toml").write_text(MINIMAL)
    monkeypatch.chdir(folder.parent)
    config = load_config((folder / "config.toml").relative_to(folder.parent))
    assert config.data.vault == folder / "vault"
    assert config.tls.key.is_absolute()
    monkeypatch.chdir("/")
    assert config.keys.root.is_file()


def test_absolute_paths_stay_as_they_are(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert load(folder, MINIMAL.replace('"vault"', f'"{elsewhere}"')).data.vault == elsewhere


def test_a_missing_folder_is_named_with_line_key_and_remedy(folder):
    (folder / "vault").rmdir()
    assert refused(folder, MINIMAL) == (
        f"config.toml line 22: data.vault: no such folder: {folder}/vault\n  create it, or set data.vault"
    )


def test_a_file_where_a_folder_should_be_is_no_folder_and_the_reverse(folder):
    assert "data.run: no such folder" in refused(folder, MINIMAL.replace('run = "run"', 'run = "ca.pem"'))
    assert "tls.ca: no such file" in refused(folder, MINIMAL.replace('ca = "ca.pem"', 'ca = "run"'))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('name = "lab-1"', 'name = "Lab One"', "line 2: appliance.name: must be an identifier"),
        ('name = "lab-1"', "name = 3", "line 2: appliance.name: must be an identifier"),
        ('name = "lab-1"', "", "line 1: appliance.name: is missing\n  set name in [appliance]"),
        ('[appliance]\nname = "lab-1"\n', "", "config.toml: appliance.name: is missing"),
        ('name = "lab-1"', 'nam = "lab-1"', "line 2: appliance.nam: no such key\n  did you mean name?"),
        ("[appliance]", "[aplliance]", "line 1: aplliance: no such section\n  did you mean appliance?"),
        ("[appliance]", "zebra = 1\n[appliance]", "line 1: zebra: no such section\n  known here: appliance, "),
        ("[appliance]", "plan = 1\n[appliance]", "line 1: plan: must be a section\n  write [plan]"),
        ('ca = "ca.pem"', 'authority = "ca.pem"', "line 9: tls.authority: no such key\n  known here: ca, certificate"),
        ('address = "127.0.0.1:0"', 'address = "127.0.0.1"', "line 5: listen.address: must be host:port"),
        ('address = "127.0.0.1:0"', 'address = "127.0.0.1:70000"', "line 5: listen.address: there is no port above"),
        ('address = "127.0.0.1:0"', 'address = "a b:1"', "line 5: listen.address: must be host:port"),
        ('ca = "ca.pem"', "ca = 1", "line 9: tls.ca: must be the path of a file"),
        ('ca = "ca.pem"', 'ca = ""', "line 9: tls.ca: must be the path of a file"),
        ('ca = "ca.pem"', 'ca = "a\\u0000b"', "line 9: tls.ca: must be the path of a file"),
        ('run = "run"', "run = [1]", "line 25: data.run: must be the path of a folder"),
        ('name = "lab-1"', "name = = 1", "line 2: not TOML: invalid value\n  mend that line"),
    ],
)
def test_a_mistake_is_named_with_line_key_and_remedy(folder, old, new, expected):
    assert expected in refused(folder, MINIMAL.replace(old, new, 1))


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ("poll_s = 0.01", "watch.poll_s: must be a number from 0.05 to 3600\n  the default is 1"),
        ("poll_s = true", "watch.poll_s: must be a number"),
        ("poll_s = nan", "watch.poll_s: must be a number"),
        ("poll_s = inf", "watch.poll_s: must be a number"),
        ('poll_s = "1"', "watch.poll_s: must be a number"),
        ("auto_run = 1", "watch.auto_run: must be true or false\n  the default is true"),
        ("[evaluation]\nin_flight = 0", "evaluation.in_flight: must be a whole number from 1 to 2000"),
        ("[evaluation]\nin_flight = 2001", "evaluation.in_flight: must be a whole number"),
        ("[evaluation]\nin_flight = true", "evaluation.in_flight: must be a whole number"),
        ("[evaluation]\nin_flight = 1.0", "evaluation.in_flight: must be a whole number"),
        ("[evaluation]\ndeadline_s = -1", "evaluation.deadline_s: must be a number"),
        ('[runtimes]\nisolation = "None"', "runtimes.isolation: must be one of namespace, none"),
        ("[runtimes]\nisolation = []", "runtimes.isolation: must be one of"),
        ('[telemetry]\nlog_level = "trace"', "telemetry.log_level: must be one of debug, info, warning, error"),
        ("[telemetry]\nmetrics_interval_s = 0.5", "telemetry.metrics_interval_s: must be 0, or 1 to 3600"),
        ("[plan]\nattempts = 0", "plan.attempts: must be a whole number from 1 to 100"),
        ("[plan]\ntechniques = []", "plan.techniques: must be a list of 1 to 64 identifiers"),
        ('[plan]\ntechniques = "plain"', "plan.techniques: must be a list"),
        ('[plan]\ntechniques = ["base64"]', "plan.techniques: plain is missing"),
        ('[plan]\ntechniques = ["plain", "plain"]', "plan.techniques: repeats an identifier"),
        ('[plan]\ntechniques = ["plain", "A B"]', "plan.techniques: holds something that is no identifier"),
        ('[plan]\ntechniques = ["plain", 1]', "plan.techniques: holds something that is no identifier"),
        ("[plan]\nstacks = 1", "plan.stacks: must be at most 256 lists"),
        ("[plan]\nstacks = [1]", "plan.stacks: must be a list"),
        ('[plan]\nstacks = [["base64"]]', "plan.stacks: a stack has 2 to 4 techniques"),
        ('[plan]\nstacks = [["a", "b", "c", "d", "e"]]', "plan.stacks: a stack has 2 to 4 techniques"),
        ('[plan]\nstacks = [["plain", "base64"]]', "plan.stacks: a stack has 2 to 4 techniques"),
        ('[plan]\nstacks = [["a", "a"]]', "plan.stacks: repeats an identifier"),
        ('[plan]\nstacks = [["a", "b"], ["a", "b"]]', "plan.stacks: repeats a list"),
    ],
)
def test_values_out_of_range_or_of_another_type_are_refused_on_their_line(folder, added, expected):
    text = MINIMAL + added + "\n"
    message = refused(folder, text)
    assert expected in message
    assert message.startswith(f"config.toml line {len(text.splitlines())}: ")


def test_service_and_health_need_ports_of_their_own(folder):
    text = MINIMAL.replace("127.0.0.1:0", "127.0.0.1:7443")
    assert "line 6: listen.health_address: the same as listen.address" in refused(folder, text)


def test_addresses_may_be_names_and_ipv6(folder):
    text = MINIMAL.replace("127.0.0.1:0", "[::1]:7443", 1).replace("127.0.0.1:0", "localhost:65535", 1)
    assert dataclasses.astuple(load(folder, text).listen) == ("[::1]:7443", "localhost:65535")


def test_a_missing_config_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigError, match="heldout-server init"):
        load_config(tmp_path / "config.toml")


def test_a_config_that_is_no_text_is_refused(folder):
    (folder / "config.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(folder / "config.toml")


def test_a_config_cannot_be_changed_once_read(folder):
    config = load(folder, MINIMAL)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.watch.auto_run = True


def test_the_config_of_a_window_half_is_called_by_its_name(folder):
    vaults = ('vault = "vault"\n', 'staging = "staging"\n', 'run = "run"\n')
    text = MINIMAL
    for line in vaults:
        text = text.replace(line, "")
    assert "is the config of a window half by itself" in refused(folder, text)
    assert "data.vault: is missing" in refused(folder, MINIMAL.replace(vaults[0], ""))  # a slip of the pen


def test_a_clients_profile_is_called_by_its_name(folder):
    found = refused(folder, 'address = "127.0.0.1:7443"\ncertificate = "me.pem"\n[logs]\n')
    assert "is a client's profile" in found
    assert "config.toml of the appliance" in found
