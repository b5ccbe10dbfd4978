"""Every decision saw exactly what came before it, with processes on one PostgreSQL that lose their connections."""

from tests.support.decision_oracle import COMMANDS, PROCESSES, convict, in_processes
from tests.support.postgres import PostgresServer

_CUT_OFF = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < 0.3
"""


def test_processes_that_are_cut_off_decide_on_what_the_log_has(server: PostgresServer, database: str) -> None:
    """Whatever was on its way then is done again, or was done: no decision is made on anything but the log."""
    verdict = in_processes(f"{database}?schema=oracle", lambda: server.execute(_CUT_OFF, database))
    convict(verdict, PROCESSES * COMMANDS)
