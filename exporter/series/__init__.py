"""Time series: their names and labels, the exposition formats, the windows that keep them. Pure, numpy only."""
