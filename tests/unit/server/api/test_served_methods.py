"""Which methods a process serves, and whose log records them."""

from heldout_server.api.contract import methods, served

READ, FINDINGS = "/heldout.v1.AuditService/GetTreeHead", "/heldout.v1.FindingsService/ListReleases"
BANK = "/heldout.v1.BankService/GetStats"


def test_both_halves_serve_the_whole_contract():
    assert served(methods(), ("vault", "window")) == methods()


def test_a_half_serves_its_own_and_records_who_reads_its_log():
    vault, window = served(methods(), ("vault",)), served(methods(), ("window",))
    assert {one.half for one in vault.values()} == {"vault"}
    assert {one.half for one in window.values()} == {"window"}
    assert BANK in vault
    assert FINDINGS not in vault
    assert FINDINGS in window
    assert BANK not in window
    assert READ in vault
    assert READ in window
