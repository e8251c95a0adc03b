"""The Pythons of this machine that the program supports.

python -m tests.install.pythons newest      prints its path, or what is missing
"""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_SAY = "import sys; print('%d.%d' % sys.version_info[:2])"


def supported() -> list[str]:
    """Versions such as "3.11" that pyproject.toml lists, the oldest first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    return sorted(found, key=_number)


def find() -> dict[str, str]:
    """Version -> path of an interpreter, the oldest first.

    What is on the path counts if it starts: those that pyenv puts there may not.
    """
    found = {}
    for version in supported():
        own = sys.executable if _says(sys.executable) == version else None
        on_path = shutil.which(f"python{version}")
        kept = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*"))
        places = [own, on_path, *(str(folder / "bin/python") for folder in kept)]
        for place in filter(None, places):
            if _says(place) == version:
                found[version] = place
                break
    return found


def _says(python: str) -> str:
    """The version that an interpreter says it has; "" where it does not start."""
    try:
        done = subprocess.run([python, "-c", _SAY], capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip()


def _number(version: str) -> int:
    return int(version.partition(".")[2])


if __name__ == "__main__":
    there = find()
    if not there:
        sys.exit(f"error: no Python of {', '.join(supported())} was found")
    print(there[(min if sys.argv[1:] == ["oldest"] else max)(there, key=_number)])
