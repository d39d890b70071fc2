"""The reference models: what there is (`registry`, `options`; without torch) and the networks (with torch)."""
