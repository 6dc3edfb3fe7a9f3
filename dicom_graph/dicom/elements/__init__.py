"""Data elements as contents, and their values: what bytes mean, by VR (PS3.5 6)."""
