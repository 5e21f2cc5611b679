"""Reflection LMs, the choices of `--reflection-lm`, and the record of their calls.

`factory.build_reflector` is the door that learners use; the other files are one kind each.
"""
