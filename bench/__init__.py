"""Benchmarks: figures side by side in one run, as ratios where a machine's speed would decide otherwise."""
