"""Data sets from bytes, in any encoding (PS3.5 7 and A, PS3.10 7)."""
