"""Data sets: readers of their forms, the native form's writer, decoded frames, true matches, pairs files.

Start at `recording` (what every reader returns), `open.open_dataset` and `store.FrameStore`; docs/data.md.
"""
