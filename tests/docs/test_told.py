"""What pages share, and which run a name in capitals stands for."""

from types import SimpleNamespace

from tests.docs.runner import Done
from tests.docs.told import Told
from tests.docs.tree import Tree

WORDS = ["ppcjax", "train", "--config", "ppc_folder", "--config.data.root=photos"]


def page(folder, photo=b"photo"):
    (folder / "photos").mkdir(parents=True)
    (folder / "photos" / "a.jpg").write_bytes(photo)
    return folder


class Program:
    """Writes a run, and counts how often."""

    def __init__(self, folder, code=0):
        self.folder, self.code, self.count = folder, code, 0

    def __call__(self):
        self.count += 1
        (self.folder / "runs").mkdir(exist_ok=True)
        (self.folder / "runs" / "log.txt").write_text("trained")
        return Done(self.code, "said", 3.0)


def runs_again(told, folder, words=WORDS, environment=None, code=0):
    program = Program(folder, code)
    told.run(words, folder, environment or {}, program)
    assert (folder / "runs" / "log.txt").read_text() == "trained"
    return bool(program.count)


def test_a_second_page_is_given_what_the_first_wrote(tmp_path):
    told = Told()
    assert runs_again(told, page(tmp_path / "a"))
    assert not runs_again(told, page(tmp_path / "b"))
    spelled = ["python", "train.py", "--config", "ppc_folder", WORDS[-1]]
    assert not runs_again(told, page(tmp_path / "c"), spelled)


def test_other_words_photos_or_surroundings_and_mistakes_are_run(tmp_path):
    told = Told()
    assert runs_again(told, page(tmp_path / "a"), code=1)
    assert runs_again(told, page(tmp_path / "b"))
    assert runs_again(told, page(tmp_path / "c", b"another photo"))
    assert runs_again(told, page(tmp_path / "d"), [*WORDS, "--config.seed=1"])
    assert runs_again(told, page(tmp_path / "e"), environment={"A": "1"})


def test_a_run_in_capitals_is_that_of_the_last_training(tmp_path):
    networks = SimpleNamespace(made={})
    tree = Tree(tmp_path / "tree", networks)
    for name in ("RUN", "runs/panet_shapes"):
        (tree.folder / name / "checkpoints" / name[-3:]).mkdir(parents=True)
        networks.made[name] = None
    tree._capitals({"ckpt": "RUN"})
    assert (tree.folder / "RUN/checkpoints/pes").is_dir()
    tree._capitals({"workdir": "RUN"})
    assert not (tree.folder / "RUN").exists()
    tree._capitals({"workdir": "runs/panet_shapes"})
    assert (tree.folder / "runs/panet_shapes").is_dir()
