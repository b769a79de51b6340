"""What the kernel costs beside the bare clients that it stands on, measured in the same run.

`python -m benchmarks` prints one JSON object; `docs/benchmarks.md` says how to read it.
"""
