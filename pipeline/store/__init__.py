"""A store of finished entries: read-only files, each named after everything that made it.

    <store>/<dataset>/<stage>/<key>/<name>@<digest>.<suffix>    an entry
    <store>/<dataset>/<stage>/<key>/recipe.json                 what its key is the hash of
    <store>/<dataset>/<stage>/<key>/.records/                   digests, sizes and times of entries
    <store>/<dataset>/<stage>/<key>/.leases/                    what is being made, and by whom
    <store>/<dataset>/<stage>/<key>/.aside/                     entries that were found damaged

An entry that is present is whole and valid, whoever made it and whenever. So it has no time of its
own and is never rewritten, and the first of several makers wins. Work trees have only links to
entries.
"""
