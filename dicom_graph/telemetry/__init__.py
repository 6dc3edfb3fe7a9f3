"""What is told of a running program: request ids, log lines, metrics and traces."""
