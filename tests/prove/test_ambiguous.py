"""10,000 attempts whose end nobody can tell, over K, query and M channels; then the audit against the vendor's own truth."""

import pytest

from tests.prove.ambiguous import Run

CASES = 10_000


@pytest.mark.prove
@pytest.mark.timeout(1800)
def test_ten_thousand_ambiguous_attempts_end_as_they_truly_did(capsys):
    run = Run(CASES, seed=20261201)

    audit = run.go()
    run.close()

    with capsys.disabled():
        print("\n" + "\n".join(audit.lines()))
    assert audit.broken() == []
    assert sum(audit.interrupted.values()) >= CASES / 2
