"""Two services in two processes, with nothing between them but files and HTTP."""

import signal
from pathlib import Path
from random import Random

import httpx

from tests.support.serving import ServingProcess
from tests.support.two_processes import demand, environment, heard, sell


def test_services_hear_each_other_through_kill_minus_nine(tmp_path: Path) -> None:
    """Each is killed in the middle, by turns, and started again: every sale is heard of, once and in order."""
    with ServingProcess("tests.messaging.service_pair:till", environment(tmp_path)) as till:
        feed = environment(tmp_path, TWOFOLD_TRANSPORT=f"feed:till={till.url}")
        with ServingProcess("tests.messaging.service_pair:buying", feed) as buying:
            sold = 0
            for turn in range(6):
                sold += (times := Random(turn).randrange(20, 80))
                receipt = sell(till.url, times)
                victim = (till, buying)[turn % 2]
                code, _, _ = victim.end(signal.SIGKILL)
                assert code == -signal.SIGKILL
                victim.start()
                assert demand(buying.url, receipt) == sold
            assert httpx.get(f"{buying.url}/health/ready").status_code == 200
    assert heard(tmp_path / "buying.db") == list(range(1, sold + 1))


def test_whoever_hears_may_be_there_first(tmp_path: Path) -> None:
    """It waits, ready for questions, until the other is there."""
    with ServingProcess("tests.messaging.service_pair:till", environment(tmp_path)) as till:
        till.end(signal.SIGTERM)
        feed = environment(tmp_path, TWOFOLD_TRANSPORT=f"feed:till={till.url}")
        with ServingProcess("tests.messaging.service_pair:buying", feed) as buying:
            assert httpx.get(f"{buying.url}/health/ready").status_code == 200
            assert httpx.get(f"{buying.url}/queries/DemandFor?item=tea").json() is None
            till.start()
            assert demand(buying.url, sell(till.url, 10)) == 10
            code, _, complained = buying.end(signal.SIGTERM)
            assert (code, "Traceback" in complained) == (0, False), complained
