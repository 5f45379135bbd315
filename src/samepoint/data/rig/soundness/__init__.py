"""What a recording of several cameras says against itself: numbers only (`rig.checks` collects them)."""
