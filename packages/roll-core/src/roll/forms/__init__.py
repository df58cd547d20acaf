"""Forms: `multipart/form-data`, and the files in it (RFC 7578).

Read the modules in this order:

- `multipart`: parses a body, piece by piece, into a `Form` and `Files`. The library
  multipart finds the parts; this module reads their headers and keeps the limits.
- `framing`: drops what may surround the parts, before the library sees it.
- `files`: where the content of a file goes. A small file stays in memory, and all
  others of a form share one temporary file.

All are synchronous: `Request.load_form` calls them in a thread, as they may wait for
the disk. Forms without files, which are urlencoded, are in `roll.datastructures`.
"""
