"""NATS JetStream: a stream for each service's published events, and a durable consumer for each service that hears them."""
