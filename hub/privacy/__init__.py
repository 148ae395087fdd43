"""What members allow, and what keeps their data from being erased.

`consent` says what may be done with whose data; every place where data leaves asks it. `retain` and
`release_retention` place and lift what forbids an erasure. Erasing and exporting, which reach into
all capabilities, are `hub.rights`.
"""
