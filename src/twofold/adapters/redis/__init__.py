"""Redis Streams, of Valkey too: a stream for each service's published events, and a group for each service that hears them."""
