"""Everything that reads what strangers send, given inputs that are almost right.

`python -m tests.fuzz` sends a few hundred thousand of them; see `__main__`. `python -m tests.fuzz.soak`
loads a live service for half an hour and watches its memory. pytest runs a short part of the first.
"""
