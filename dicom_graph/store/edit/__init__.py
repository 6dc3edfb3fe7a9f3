"""What people change: edited fields, deleted entities, and pruning what nothing holds."""
