"""Filter inputs, and the store's conditions that they mean."""
