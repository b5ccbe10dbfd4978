"""RabbitMQ: an exchange for each service that publishes, and a quorum queue for each that subscribes to it."""

from twofold.adapters.rabbitmq.broker import RabbitMQBroker, open_transport

__all__ = ["RabbitMQBroker", "open_transport"]
