"""Reflection LMs by choice: what `--reflection-lm` names, and the record of what they were asked.

`factory.build_reflector` is the door that learners use; the other files are one kind each.
"""
