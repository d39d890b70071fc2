"""What a finished dataset really holds: leakage between splits, class balance, integrity, the report."""
