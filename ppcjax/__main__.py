"""`python -m ppcjax` is the command `ppcjax`."""

import signal

if __name__ == "__main__":
    # Until the program has words of its own, Ctrl-C ends it without a traceback.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    from ppcjax.program import main

    main()
