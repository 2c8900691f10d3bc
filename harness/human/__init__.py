"""People's votes and labels, and how far judges agree with them."""
