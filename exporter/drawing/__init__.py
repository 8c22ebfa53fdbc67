"""Lines as SVG, and numbers in words: what the pages and the report of an evaluation share. Pure."""
