"""Reads the pictures that are named to it, each in a process of its own.

That may take MEMORY; what came of each is printed as a line of JSON.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path

import numpy as np

MEMORY = 2_400  # MB that reading one file may take
SECONDS = 120  # that it may take, where others use the machine, too


def _read(file):
    from ppcjax.data_pipelines import headers, images
    from ppcjax.data_pipelines.masks import pixels
    from ppcjax.types import UserError

    try:
        if file.parent.name == "masks":
            pixels.read_head(file)
            found = pixels.read_pixels(file, str(file)).values
        else:
            headers.read_size(file)
            found = images.read_photo(file, str(file)).pixels
        return {"read": list(np.shape(found))}
    except UserError as error:
        return {"refused": str(error)}
    except BaseException as error:
        return {"raised": f"{type(error).__name__}: {error}"}


def main(files):
    _read(Path(files[0]))  # imports
    for file in files:
        out, into = os.pipe()
        child = os.fork()
        if not child:
            begun = time.monotonic()
            most = MEMORY << 20
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
            found = _read(Path(file))
            found["seconds"] = time.monotonic() - begun
            found["MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
            os.write(into, json.dumps(found).encode())
            os._exit(0)
        os.close(into)
        with open(out, "rb") as stream:
            text = stream.read().decode()
        os.waitpid(child, 0)
        print(text or json.dumps({"raised": "the process died"}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
