"""What holds, suite by suite."""
