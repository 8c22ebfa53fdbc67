"""The statistical pass over whole targets: detectors, their combination, evidence in words. Pure, numpy only."""
