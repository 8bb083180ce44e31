"""The prepared splits, as the stages read them."""
