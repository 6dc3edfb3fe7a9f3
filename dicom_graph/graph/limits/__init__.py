"""How much one request may ask for."""
