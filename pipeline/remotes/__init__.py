"""Caches that travel: entries of a store, put where others take them, by folder, HTTP, S3 or GCS.

    <url>/<dataset>/<stage>/<key>/<name>@<digest>.<suffix>.<sha256>    the bytes of an entry
    <url>/<dataset>/<stage>/<key>/list/000000.jsonl, 000001.jsonl ...  the records of entries
    <url>/<dataset>/raw/list/000000.jsonl ...                          digests of raw files

Nothing there is ever rewritten: bytes have the name of what they are, and each push adds a part to
a listing, of which each line is a record and its signature. So a plain web server is enough to read
from, two can push at once, and the first record of an entry wins.

What comes from a remote is believed as far as its key, or `trusted: true`, says. An entry that it
gives is compared with its record and checked like any entry before the store has it.
"""
