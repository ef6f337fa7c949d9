"""The commands as functions: no Invoke, no printing, no exit codes. What they report goes to a callback."""
