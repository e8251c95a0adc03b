"""The results as a table."""


def program_bytes(record):
    sizes = record["bytes"]
    return sizes["argument"] + sizes["output"] + sizes["temp"] - sizes["alias"]
