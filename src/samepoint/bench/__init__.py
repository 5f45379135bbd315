"""How fast and how large: samepoint beside plain twins, one module a question (`samepoint bench`).

The method (docs/benchmarks.md): every side of a comparison does the same work on the same data in the same run; a
first call is not counted; times are medians with their quartiles; memory is measured in a process of its own; the
result names machine and commit, and keeps what was lost as well as what was won.
"""
