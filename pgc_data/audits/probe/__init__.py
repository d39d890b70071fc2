"""How much a split flatters: one small model, scored under the split and on groups it has not seen."""
