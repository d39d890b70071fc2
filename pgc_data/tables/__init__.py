"""From extracted hands to the tables that users keep: crops, windows, splits, card, manifest."""
