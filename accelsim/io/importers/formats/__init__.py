"""One module for each format, named as `--format` calls it. `FORMAT` says how its files are known, and `read` reads one."""
