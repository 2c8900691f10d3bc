"""Import of other tools' records, and export to them."""
