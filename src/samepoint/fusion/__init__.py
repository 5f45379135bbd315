"""From a registered RGB-D recording to objects, masks and clean depth: volumetric fusion (seeds 002 and 004)."""
