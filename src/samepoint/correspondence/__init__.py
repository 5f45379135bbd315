"""True matches, non-matches, and the matching of descriptors (soft and hard).

Truth: `depth`, `outcomes`, `surface`, `non_matches`. Matching: `sampling` (descriptors at pixels), `soft`
(spatial distributions), `partition` (log-partition), `targets` (Gaussian targets), `scores` (score maps),
`hard` (best pixel), `confidence` (probability near a pixel). Import from the modules.
"""
