"""Measuring on labelled data how good the verdicts are."""
