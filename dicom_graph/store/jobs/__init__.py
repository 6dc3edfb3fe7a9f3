"""Import jobs: their rows, their batches, and who runs them."""
