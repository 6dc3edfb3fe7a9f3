"""How an operation runs: validated, executed, its errors told, written down."""
