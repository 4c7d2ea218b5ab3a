"""The commands of ``python -m lab``: one module each, with ``add(commands)``, which says what the command takes and what runs it.

A command gets the parsed options and returns its exit status. ParameterError, StoreError and Ctrl-C are turned into a line and a status
by ``lab.__main__``, the same for all.
"""
