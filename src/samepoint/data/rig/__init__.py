"""Recordings of several calibrated cameras: calibrations, clicks, and the 3-D points that clicks make."""
