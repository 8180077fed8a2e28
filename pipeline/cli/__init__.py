"""The command line: one module for each command or group of commands, loaded when it is asked for.

Only click is imported at the top of these modules, so that `python -m pipeline --help` is quick.
"""
