"""Import jobs: their rows, their batches, and the processes that run them."""
