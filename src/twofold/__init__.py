"""CQRS and event sourcing for Python microservices."""
