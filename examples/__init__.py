"""Programs to copy from: a bank in one file, a shop of four services."""
