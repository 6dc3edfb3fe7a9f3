"""The mutations, a file for each family; `graph.mutation` puts them together."""
