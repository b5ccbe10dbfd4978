"""A real Apache Kafka for tests: one broker that is its own controller, on free ports and in a temporary folder.

It needs Java 17 and, the first time, Maven, which fetches the broker into the environment of these tests.
``TWOFOLD_TEST_KAFKA`` names a running one instead, such as ``kafka://127.0.0.1:9092``.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.support.servers.process import ServerProcess, free_ports
from tests.support.servers.sharing import NoServer, keep

USER, PASSWORD, WRONG_PASSWORD = "shop", "open sesame", "open-poppy"

_JARS = Path(sys.prefix) / "servers" / "kafka-4.4.0"
_START_SECONDS = 60.0
_CLUSTER = "dHdvZm9sZC1pbi10ZXN0cw"
_JAVA = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
_PROPERTIES = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{plain},SASL://127.0.0.1:{sasl},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SASL://127.0.0.1:{sasl}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.name.sasl.sasl.enabled.mechanisms=PLAIN
listener.name.sasl.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";
log.dirs={folder}/data
auto.create.topics.enable=false
default.replication.factor={copies}
min.insync.replicas={copies_in_sync}
offsets.topic.replication.factor={copies}
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
log.cleaner.dedupe.buffer.size=16777216
"""


class KafkaServer:
    """A broker with a life that a test may interrupt; ``sasl_url`` is where it asks for a password.

    It is one of as many as there are ``controllers``, by the ports of these; by itself it is the only one.
    """

    def __init__(self, folder: Path, controllers: Sequence[int] = (), node: int = 1) -> None:
        plain, sasl, controller = free_ports(3)
        controllers = controllers or [controller]
        self.servers = f"127.0.0.1:{plain}"
        self.url = f"kafka://{self.servers}"
        self.sasl_url = f"kafka://{USER}:{quote(PASSWORD)}@127.0.0.1:{sasl}?security=sasl_plaintext"
        self.wrong_url = self.sasl_url.replace(quote(PASSWORD), WRONG_PASSWORD)
        properties = folder / "server.properties"
        properties.write_text(
            _PROPERTIES.format(
                node=node,
                voters=",".join(f"{number}@127.0.0.1:{port}" for number, port in enumerate(controllers, 1)),
                copies=len(controllers),
                copies_in_sync=len(controllers) // 2 + 1,
                plain=plain,
                sasl=sasl,
                controller=controllers[node - 1],
                folder=folder,
                user=USER,
                password=PASSWORD,
            )
        )
        java = ["java", *_JAVA, "-cp", f"{_jars()}/*"]
        _run([*java, "kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(properties)])
        self._process = ServerProcess([*java, "kafka.Kafka", str(properties)], folder / "server.log")

    def start(self) -> None:
        """Start it, or start again what was stopped or killed, on the same ports and data."""
        self.begin()
        self.wait()

    def begin(self) -> None:
        """Start it, and do not wait until it answers: one of several does when most of them are there."""
        self._process.start()

    def wait(self) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + _START_SECONDS
        # A client of its own for each try: one that has found nobody waits ever longer before it looks again.
        while not _answers(self.servers):
            assert not self._process.has_ended(), self._process.log()
            assert time.monotonic() < deadline, f"Kafka did not start within {_START_SECONDS} s:\n{self._process.log()}"

    def stop(self) -> None:
        """Stop it at once, as a power cut would."""
        self._process.end(signal.SIGKILL)

    def hang(self) -> None:
        """Let it answer nothing, as a server that is overloaded or whose disk is."""
        self._process.tell(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        self._process.tell(signal.SIGCONT)

    def close(self) -> None:
        """Stop it for good."""
        self._process.close()


@contextmanager
def running_kafka() -> Iterator[KafkaServer]:
    """Start a broker, and take all of it away in the end.

    Raises:
        NoServer: it cannot be had here.
    """
    folder = Path(tempfile.mkdtemp(prefix="twofold-kafka-"))
    try:
        server = KafkaServer(folder)
        try:
            server.start()
            yield server
        finally:
            server.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class KafkaCluster:
    """Three brokers: what is confirmed is on two of them at the least, so one may be lost."""

    def __init__(self, folder: Path) -> None:
        ports = free_ports(3)
        self.nodes: list[KafkaServer] = []
        for number in (1, 2, 3):
            (folder / str(number)).mkdir()
            self.nodes.append(KafkaServer(folder / str(number), ports, number))
        self.url = f"kafka://{','.join(each.servers for each in self.nodes)}"


@contextmanager
def running_cluster() -> Iterator[KafkaCluster]:
    """Start three brokers, and take all of it away in the end.

    Raises:
        NoServer: they cannot be had here.
    """
    with (
        tempfile.TemporaryDirectory(prefix="twofold-kafka-", ignore_cleanup_errors=True) as folder,
        ExitStack() as stack,
    ):
        cluster = KafkaCluster(Path(folder))
        for each in cluster.nodes:
            stack.callback(each.close)
            each.begin()
        for each in cluster.nodes:
            each.wait()
        yield cluster


def _answers(servers: str) -> bool:
    try:
        AdminClient({"bootstrap.servers": servers, "log_level": 0}).list_topics(timeout=2)
    except KafkaException:
        return False
    return True


def _jars() -> Path:
    """Return the folder of what Kafka is made of, fetched if it is not there yet."""
    if not shutil.which("java"):
        raise NoServer("These tests need Java 17 or later: apt-get install default-jre-headless maven")
    if not _JARS.exists():
        if not shutil.which("mvn"):
            raise NoServer("These tests need Maven, which fetches Kafka once: apt-get install maven")
        _JARS.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_JARS.parent) as draft:
            _run(["mvn", "-q", "-B", "-f", str(Path(__file__).with_name("kafka_jars.xml")),
                  "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={draft}/jars"])  # fmt: skip
            Path(draft, "jars").rename(_JARS)
    return _JARS


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"


@contextmanager
def _url() -> Iterator[str]:
    with running_kafka() as server:
        yield server.url


if __name__ == "__main__":
    keep(_url(), Path(sys.argv[1]), "kafka")
