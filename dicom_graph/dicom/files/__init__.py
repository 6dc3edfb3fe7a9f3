"""Files: opened safely, known by their content, read to headers."""
