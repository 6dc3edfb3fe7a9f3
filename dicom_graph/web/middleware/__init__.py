"""What every request passes through, a class a file."""
