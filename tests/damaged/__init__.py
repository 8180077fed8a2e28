"""Thousands of damaged files, each read by the project in a process with limits.

`kinds` makes right files, `damage` damages them, and `worker` reads them. A file that is damaged is
read as something valid or refused in one sentence; a traceback, a hang or memory beyond ten times
the file is a fault.
"""
