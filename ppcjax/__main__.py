"""`python -m ppcjax` is the command `ppcjax`."""

from ppcjax.program import main

if __name__ == "__main__":
    main()
