"""The world behind the ports: each folder is one technology and imports its own driver."""
