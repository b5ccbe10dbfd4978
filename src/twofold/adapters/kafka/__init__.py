"""Kafka 2.1 and later, and what speaks its protocol: a service's events, commands and replies as messages of a topic."""

from twofold.adapters.kafka.broker import KafkaBroker

__all__ = ["KafkaBroker"]
