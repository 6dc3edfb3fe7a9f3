"""Siemens CSA headers: their values, and paths into them."""
