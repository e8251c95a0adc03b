"""A folder in which a reader could stand: photos, masks and runs that a page names.

What a command needs follows from its options and its config, no command is listed: a
root that is not there becomes a set of the config's source, --images photos, --support
examples, --ckpt a run that was never trained.
"""

import ast
import shutil
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from ppcjax import checkout
from ppcjax.evaluate import opening
from ppcjax.runs.checkpoint import Checkpoints
from ppcjax.train import settings
from ppcjax.types import TrainState
from ppcjax.weights.released import SHAPES
from ppcjax.weights.writers import write_network
from tests.docs import names, reading, sets, small
from tests.docs.names import Config
from tests.docs.networks import (
    Networks,
    as_run,
    backbone_of,
    classes_named,
    write_backbone,
)

USUAL = ("", "all", "train", "val", "train_aug", "test", "validation")
SETS = {
    "voc": sets.write_voc,
    "cityscapes": sets.write_cityscapes,
    "imagenet": sets.write_imagenet,
}
# Of programs with --root that want more than photos with masks.
BUILDERS = {
    "ppcjax.data_pipelines.voc_builder": lambda path: sets.write_voc(path, ()),
    "ppcjax.data_pipelines.imagenet_builder": sets.write_imagenet_archives,
}
PICTURES = (".jpg", ".jpeg", ".png")


class Tree:
    """The folder of one page.

    folder: where it lies.
    networks: what the page has trained.
    """

    def __init__(self, folder: Path, networks: Networks):
        self.folder = folder
        self.networks = networks
        self._made: dict[Path, dict] = {}
        folder.mkdir(parents=True)
        (folder / "home").mkdir()
        small.write_configs(folder / "configs", list(checkout.shipped()))

    def path(self, named: str) -> Path:
        """Where a file or folder of a page lies."""
        if named.startswith("~/"):
            return self.folder / "home" / named[2:]
        return self.folder / named.partition("*")[0]

    def prepare(self, words: Sequence[str]) -> None:
        """Makes what a command reads and nothing has made yet.

        Args:
            words: the command, without names that stand for configs.
        """
        given, others = reading.options(words)
        self._capitals(given)
        if given.get("config"):
            file = Path(self._file(given["config"]).partition(":")[0])
            if file.stem in checkout.shipped():
                whole = backbone_of(given.get("config.init_from", ""))
                small.write_configs(file.parent, [file.stem], bool(whole))
        for option, make in self._roles(words).items():
            if given.get(option) and not self._is_there(given[option]):
                make(given[option])
        if "predict" in words[:4]:
            few_shot = "support" in given
            run = (
                [] if "config" in given else [self._few_shot if few_shot else self._run]
            )
            self._positional(others, [*run, self._photos])
        elif "score" in words[:4]:
            self._positional(others, [self._masks, self._masks])
        elif "inspect" in words[:4]:
            self._positional(others, [self._tagged])
        self._config(words, given)

    def _capitals(self, given: dict[str, str]) -> None:
        """A folder in capitals is another one in each command that writes there.

        A run that is read is that of the last training, but for what was exported.
        """
        named = given.get("ckpt", "")
        for new in (given.get("workdir", ""), given.get("out", "")):
            if names.is_any(new):
                shutil.rmtree(self.path(new), ignore_errors=True)
        trained = [
            made
            for made in self.networks.made
            if (self.path(made) / "checkpoints").is_dir()
        ]
        exported = not self._is_there(f"{named}/checkpoints") and self._is_there(named)
        if names.is_any(named) and not exported and trained and trained[-1] != named:
            shutil.rmtree(self.path(named), ignore_errors=True)
            shutil.copytree(self.path(trained[-1]), self.path(named))

    def _roles(self, words: Sequence[str]):
        classes = classes_named(tuple(words)) or ("cat", "cow")
        module = words[2] if "-m" in words[1:2] else ""
        build = BUILDERS.get(module, lambda path: self._masked(path, classes))
        return {
            "root": lambda named: build(self.path(named)) if module else None,
            "images": self._photos,
            "others": self._photos,
            "support": lambda path: sets.write_examples(self.path(path), classes),
            "run": self._run,
        }

    def _is_there(self, named: str) -> bool:
        return self.path(named).exists()

    def _positional(self, others: Sequence[str], makers: Sequence) -> None:
        for place, named in enumerate(others):
            make = makers[min(place, len(makers) - 1)]
            if not self._is_there(named) or make == self._few_shot:
                make(named)

    def _photos(self, named: str) -> None:
        path = self.path(named)
        if path.suffix.lower() in PICTURES:
            sets.write_image(path, sets.photo(1, [1, 2]))
        else:
            sets.write_photos(path)

    def _picture(self, named: str) -> None:
        if "masks" in Path(named).parts:
            sets.write_mask(self.path(named), sets.mask([1]))
        else:
            self._photos(named)

    def _masks(self, named: str) -> None:
        for number, shown in enumerate(sets.contents(2)[:4]):
            path = self.path(named) / f"photo_{number}.png"
            sets.write_mask(path, sets.mask(shown))

    def _masked(self, path: Path, classes: Sequence[str]) -> None:
        sets.write_folder(path, classes, masks=True)
        self._made[path] = {"classes": tuple(classes), "splits": (), "masks": True}

    def _tagged(self, named: str) -> None:
        sets.write_folder(self.path(named), ("cat", "cow"), masks=False)

    def _config(self, words: Sequence[str], given: dict[str, str]) -> None:
        """The data of a config, the run and the weights that a command names."""
        of_config, rest = opening.split(words)
        config = None
        if of_config and given.get("config"):
            fields = [
                w for w in reading.joined(of_config) if not w.startswith("--config=")
            ]
            config = self.read(given["config"], fields)
        path = given.get("ckpt")
        if path and not self._is_there(path):
            if config is not None:
                self._weights(path, config)
            else:
                # Names of others are known of published networks alone.
                kind = "segment_resnet" if "export_backbone" in given else ""
                self._run(path, kind)
        if config is None and path:
            config = next(self.networks.find(path))
        if config is None or given.get("images"):
            return
        start = config.values.get("init_from", "")
        if start and not self._is_there(start) and "://" not in start:
            if start.startswith("runs/") or names.is_any(start):
                self._run(start)
            elif backbone_of(start):
                write_backbone(self.path(start))
            elif Path(start).suffix:
                self._weights(start, config)
        self._data(config, tuple(words), given.get("split", ""))

    def read(self, named: str, fields: Sequence[str] = ()) -> Config:
        """A config of this tree, which is small."""
        return names.read_config(self._file(named), fields)

    def _file(self, named: str) -> str:
        file = checkout.config_file(named)
        path, colon, variant = file.partition(":")
        return f"{self.folder / 'configs' / Path(path).name}{colon}{variant}"

    def _data(self, config: Config, words: tuple[str, ...], split: str) -> None:
        """The set that a config reads, of its source."""
        data = config.values["data"]
        source, root = data["source"], data.get("root", "")
        if source == "shapes" or not root or data.get("tfds_dir"):
            return
        path = self.path(root)
        if path.exists() and path not in self._made:
            return
        wanted = {
            split,
            *(data.get(f"{x}_split", "") for x in ("train", "eval", "val")),
        }
        wanted = sorted(wanted - set(USUAL))
        known = self._made.setdefault(
            path, {"classes": (), "splits": (), "masks": False}
        )
        reads = settings.reads_of(config.values["method"])
        known["masks"] |= reads == "episodes" or bool(data.get("with_masks"))
        known["masks"] |= config.values["method"]["name"] == "affinity"
        named = classes_named(words)
        known["classes"] = tuple(dict.fromkeys((*known["classes"], *named)))
        known["splits"] = tuple(dict.fromkeys((*known["splits"], *wanted)))
        if source == "photos":
            sets.write_photos(path, count=6)
        elif source == "folder" and data.get("classes"):
            sets.write_streets(path, len(data["classes"]))
        elif source == "folder":
            classes = [c for c in known["classes"] if c != "background"]
            sets.write_folder(
                path,
                classes or ["cat", "cow"],
                masks=known["masks"],
                splits=known["splits"],
            )
        else:
            SETS[source](path, known["splits"])

    def _run(self, named: str, kind: str = "") -> None:
        """A run that was never trained, where a page names one but makes none."""
        found = next(self.networks.find(named))
        kind = kind or found.named.removeprefix("configs/").replace(".py", "")
        config = self.read(kind)
        data = dict(config.values["data"])
        if data["source"] in ("folder", "photos"):
            data["root"] = "photos"
        config = config.having(data=data)
        self._data(config, (), "")
        self.networks.add(named, config)
        run, state = self._state(config)
        saver = Checkpoints(
            self.path(named), keep=1, config=run.config, classes=run.classes
        )
        saver.save(jax.device_put(TrainState(np.int32(2), *state, {})), 2)
        saver.wait()
        saver.close()

    def _few_shot(self, named: str) -> None:
        """A run that learns from examples; RUN may have been another one before."""
        if self._is_there(named) and not names.is_any(named):
            return
        shutil.rmtree(self.path(named), ignore_errors=True)
        self._run(named, "panet_folder")

    def _weights(self, named: str, config: Config) -> None:
        """A file of weights that others have published, with a network as it begins."""
        run, (params, model_state) = self._state(config)
        params, model_state = run.method.keep(params, model_state)
        path = self.path(named)
        written = path.with_suffix(".safetensors")
        write_network(written, run._replace(params=params, model_state=model_state))
        written.rename(path)

    def _state(self, config: Config):
        run = as_run(config, ())
        return run, run.method.init(jax.random.key(0), SHAPES)

    def prepare_python(self, text: str) -> None:
        """Makes the photos and runs that a snippet names."""
        for node in ast.walk(ast.parse(text)):
            for named in reading.texts_of(node):
                if not self._is_there(named):
                    self._named_in_python(node, named)

    def _named_in_python(self, node: ast.AST, named: str) -> None:
        called = ast.unparse(getattr(node, "func", node)).split(".")[-1]
        if called in ("load", "fit", "fewshot") and named.startswith("runs/"):
            self._run(named)
        elif called == "fewshot":
            sets.write_examples(self.path(named), ("cat", "cow"))
        elif Path(named).suffix.lower() in PICTURES:
            self._picture(named)
        elif called in ("Path", "glob", "iterdir", "listdir", "predict"):
            self._photos(named)
