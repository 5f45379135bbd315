"""Labels of other programs: DeepLabCut, Lightning Pose and SLEAP, read from their files (docs/multi-camera.md)."""
