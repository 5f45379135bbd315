"""How good is a predictor of the same point? Metrics, baselines, predictions files, intervals, comparison.

`evaluate` runs a predictor and its baselines over a pairs file; `compare` puts several evaluations side by
side.
"""
