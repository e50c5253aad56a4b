"""Published figures beside accelsim's own: what a file of evidence says, formulas over results, and whether figures agree."""
