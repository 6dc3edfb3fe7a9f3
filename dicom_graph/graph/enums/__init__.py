"""The enums of the schema."""
