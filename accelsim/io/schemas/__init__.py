"""JSON Schemas of the YAML files, made from the tables of keys that their readers know."""
