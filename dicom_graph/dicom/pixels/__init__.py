"""Pixel data: frames decoded, arrays, pictures (PS3.3 C.7.6, PS3.5 8)."""
