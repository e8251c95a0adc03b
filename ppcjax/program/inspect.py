"""Shows what is read of a folder, and writes a contact sheet, without training.

ppcjax inspect FOLDER                                    as ppc_folder reads it
ppcjax inspect --config NAME --config.data.root=FOLDER   as any config reads it
"""

from ppcjax import checkout, cli
from ppcjax.errors import UserError
from ppcjax.program import train


def main(argv: list[str]) -> None:
    """Shows what the arguments name, and exits.

    Raises:
        UserError: neither a folder nor a config is given.
    """
    if cli.HELP & set(argv):
        print(checkout.as_typed(__doc__))
        return
    if not argv:
        raise UserError(f"a folder is missing: {checkout.program('inspect')} FOLDER")
    if not argv[0].startswith("-"):
        argv = [f"--config.data.root={argv[0]}", *argv[1:]]
        if not any(word.split("=")[0] == "--config" for word in argv):
            argv.insert(0, "--config=ppc_folder")
    train.main([*argv, "--inspect"])
