"""Searches over what a mapper takes as given: the cascade."""
