"""Shadow models are of the code of now: all that trains them is in the pool's key."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from code_world import FIT, LEVEL, CodeWorld, code_world
from gated_project import concluded, make_project

from memory_assets.errors import InputError
from memory_assets.owner.makers import code_files, packages
from memory_assets.owner.packages import version_here
from memory_assets.store.digest import digest, digest_file
from memory_assets.workflows import shadows

pytestmark = pytest.mark.slow

TOP = FIT.format(late="")
HELPERS: dict[str, tuple[str, dict[str, str]]] = {
    "a module beside it": (
        "from levels import LEVEL\n" + TOP,
        {"levels.py": LEVEL},
    ),
    "a helper of a helper": (
        "from outer import LEVEL\n" + TOP,
        {"outer.py": "import middle\nLEVEL = middle.LEVEL\n", "middle.py": LEVEL},
    ),
    "a package": (
        "from parts import LEVEL\n" + TOP,
        {"parts/__init__.py": LEVEL},
    ),
    "a package's module, imported by its init": (
        "import parts\nLEVEL = parts.LEVEL\n" + TOP,
        {"parts/__init__.py": "from .inner import LEVEL\n", "parts/inner.py": LEVEL},
    ),
    "a module named after from": (
        "from parts import inner\nLEVEL = inner.LEVEL\n" + TOP,
        {"parts/__init__.py": "", "parts/inner.py": LEVEL},
    ),
    "a dotted module": (
        "import parts.deep.inner as found\nLEVEL = found.LEVEL\n" + TOP,
        {"parts/__init__.py": "", "parts/deep/__init__.py": "", "parts/deep/inner.py": LEVEL},
    ),
    "a package without an init": (
        "from parts.inner import LEVEL\n" + TOP,
        {"parts/inner.py": LEVEL},
    ),
    "a relative import from the package above": (
        "from parts.deep.inner import LEVEL\n" + TOP,
        {
            "parts/__init__.py": "",
            "parts/deep/__init__.py": "",
            "parts/deep/inner.py": "from .. import levels\nLEVEL = levels.LEVEL\n",
            "parts/levels.py": LEVEL,
        },
    ),
    "star of a package": (
        "from parts import *\nLEVEL = inner.LEVEL\n" + TOP,
        {"parts/__init__.py": "__all__ = ['inner']\n", "parts/inner.py": LEVEL},
    ),
    "star of a module": (
        "from levels import *\n" + TOP,
        {"levels.py": LEVEL},
    ),
    "within the function": (
        FIT.format(late="from levels import LEVEL"),
        {"levels.py": LEVEL},
    ),
    "within a function of a helper": (
        FIT.format(late="from helper import level\n    LEVEL = level()"),
        {
            "helper.py": "def level():\n    import levels\n    return levels.LEVEL\n",
            "levels.py": LEVEL,
        },
    ),
    "by a name in a text": (
        "import importlib\nLEVEL = importlib.import_module('levels').LEVEL\n" + TOP,
        {"levels.py": LEVEL},
    ),
    "by a name that is looked up": (
        "from importlib import import_module\nKINDS = {'a': 'kinds.one'}\n"
        + FIT.format(late="LEVEL = import_module(KINDS['a']).LEVEL"),
        {"kinds/__init__.py": "", "kinds/one.py": LEVEL},
    ),
    "by a name that is put together": (
        "import importlib\nwhich = 'one'\n"
        "LEVEL = importlib.import_module(f'kinds.{which}').LEVEL\n" + TOP,
        {"kinds/__init__.py": "", "kinds/one.py": LEVEL},
    ),
    "by a package that imports whatever lies in it": (
        "from kinds import KINDS\nLEVEL = KINDS[0].LEVEL\n" + TOP,
        {
            "kinds/__init__.py": "import importlib, pkgutil\n"
            "KINDS = [importlib.import_module(f'{__name__}.{found.name}')\n"
            "         for found in pkgutil.iter_modules(__path__)]\n",
            "kinds/one.py": LEVEL,
        },
    ),
    "by dunder import": (
        "LEVEL = __import__('levels').LEVEL\n" + TOP,
        {"levels.py": LEVEL},
    ),
    "in a folder put on the path": (
        "import os, sys\n"
        "sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lib'))\n"
        "from levels import LEVEL\n" + TOP,
        {"lib/levels.py": LEVEL},
    ),
    "as a script that it runs": (
        "import runpy\nfrom pathlib import Path\n"
        + FIT.format(
            late="LEVEL = runpy.run_path(str(Path(__file__).parent / 'levels.py'))['LEVEL']"
        ),
        {"levels.py": LEVEL},
    ),
    "through another name for the function": (
        "from trainer.fitting import fit\n",
        {
            "trainer/__init__.py": "",
            "trainer/fitting.py": "from trainer.levels import LEVEL\n" + TOP,
            "trainer/levels.py": LEVEL,
        },
    ),
}
each_way = pytest.mark.parametrize("how", HELPERS)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CodeWorld]:
    with code_world(tmp_path, monkeypatch) as made:
        yield made


def project(world: CodeWorld, how: str) -> str:
    """Write the code, and say which of its files holds the level."""
    main, files = HELPERS[how]
    world.write("claims.py", main)
    (level,) = (name for name, text in files.items() if text == LEVEL)
    for name, text in files.items():
        world.write(name, text.format("0.25") if name == level else text)
    return level


@each_way
def test_a_changed_helper_trains_the_pool_anew_and_by_the_new_code(world: CodeWorld, how: str):
    """In one process, which imported the old helper; the file has the same size and second."""
    level = project(world, how)
    assert world.train(fit="claims:fit") == (True, 0.25)
    assert world.train(fit="claims:fit") == (False, 0.25)
    world.write(level, LEVEL.format("0.75"))
    assert world.train(fit="claims:fit") == (True, 0.75)
    world.write(level, LEVEL.format("0.25"))
    assert world.train(fit="claims:fit") == (False, 0.25)


@each_way
def test_what_code_does_not_import_trains_nothing(world: CodeWorld, how: str):
    project(world, how)
    world.write("notes.py", "A = 1\n")
    world.write("other/levels.py", "A = 1\n")
    before = world.pool_key(fit="claims:fit")
    world.write("notes.py", "A = 2\n")
    world.write("other/levels.py", "A = 2\n")
    world.write("tests/__init__.py", "import claims\n")
    assert world.pool_key(fit="claims:fit") == before


def test_another_process_names_the_same_pool(world: CodeWorld):
    """What is on the path or imported already is no part of a key."""
    project(world, "in a folder put on the path")
    here = code_files("claims:fit", "fit")
    world.train(fit="claims:fit")
    assert code_files("claims:fit", "fit") == here
    assert set(here) == {"claims:fit", "levels"}


def test_a_helper_that_two_functions_share_is_new_for_both(world: CodeWorld):
    world.write("levels.py", LEVEL.format("0.25"))
    for name in ("one", "two"):
        world.write(f"{name}.py", "from levels import LEVEL\n" + TOP)
        assert world.train(fit=f"{name}:fit") == (True, 0.25)
    world.write("levels.py", LEVEL.format("0.75"))
    for name in ("one", "two"):
        assert world.train(fit=f"{name}:fit") == (True, 0.75)


def test_a_helper_that_a_loader_imported_first_is_new_for_the_training(world: CodeWorld):
    world.write("levels.py", LEVEL.format("0.25"))
    world.write("given.py", "import levels\nfrom ways_world import records\n")
    records = {"loader": "given:records", "members": "members.csv"}
    subject = world.world.subject(records=records, fit="claims:fit")
    world.world.prepared(subject)
    world.write("levels.py", LEVEL.format("0.75"))
    world.write("claims.py", "from levels import LEVEL\n" + TOP)
    assert world.train(records=records, fit="claims:fit") == (True, 0.75)


def test_modules_that_did_not_change_stay_as_they_are(world: CodeWorld):
    """Others hold what they define."""
    world.write("kinds/__init__.py", "")
    world.write("kinds/one.py", LEVEL.format("0.25"))
    world.write("kinds/two.py", "CALLS = []\n")
    world.write("claims.py", "from kinds import one, two\nLEVEL = one.LEVEL\n" + TOP)
    world.train(fit="claims:fit")
    two = sys.modules["kinds.two"]
    world.write("kinds/one.py", LEVEL.format("0.75"))
    assert world.train(fit="claims:fit") == (True, 0.75)
    assert sys.modules["kinds.two"] is two
    world.write("kinds/__init__.py", "A = 1\n")
    world.train(fit="claims:fit")
    assert sys.modules["kinds"].two is two


def test_code_that_changes_while_it_trains_leaves_no_pool(world: CodeWorld):
    """Half of the models would be by other code than the key says."""
    world.write("levels.py", LEVEL.format("0.25"))
    late = "from levels import LEVEL\n    __import__('pathlib').Path('levels.py').write_text("
    world.write("claims.py", FIT.format(late=late + "'LEVEL = 0.75')"))
    with pytest.raises(InputError, match="changed while they were trained"):
        world.train(fit="claims:fit")


COMMAND = """
import json
{imports}
ids = json.load(open("ask_ids.json"))
with open("predictions.csv", "w") as f:
    print("record_id,prob_0,prob_1", file=f)
    for record in ids:
        print(record, 1 - LEVEL, LEVEL, sep=",", file=f)
"""
SCRIPTS: dict[str, tuple[str, dict[str, str]]] = {
    "module beside the script": ("{python} job/train.py", {"job/levels.py": LEVEL}),
    "helper of a helper": (
        "{python} job/train.py",
        {"job/levels.py": "from parts.inner import LEVEL\n", "job/parts/inner.py": LEVEL},
    ),
    "script that a shell script runs": (
        "sh job/run.sh",
        {"job/run.sh": 'exec {python} "$(dirname "$0")/train.py"\n', "job/levels.py": LEVEL},
    ),
}


@pytest.mark.parametrize("how", SCRIPTS)
def test_what_a_command_imports_trains_its_pool_anew(world: CodeWorld, how: str):
    run, files = SCRIPTS[how]
    world.write("job/train.py", COMMAND.format(imports="from levels import LEVEL"))
    (level,) = (name for name, text in files.items() if text == LEVEL)
    for name, text in files.items():
        world.write(name, text.format("0.25", python=sys.executable))
    command = {"run": run.format(python=sys.executable)}
    world.write("unrelated.py", "A = 1\n")
    assert world.train(command=command) == (True, 0.25)
    world.write("unrelated.py", "A = 2\n")
    assert world.train(command=command) == (False, 0.25)
    (world.root / level).write_text(LEVEL.format("0.7500"))  # its compiled file is of that second
    assert world.train(command=command) == (True, 0.75)


def test_a_module_that_a_command_runs_trains_its_pool_anew(
    world: CodeWorld, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PYTHONPATH", str(world.root))
    world.write("job/train.py", COMMAND.format(imports="from .levels import LEVEL"))
    command = {"run": f"{sys.executable} -m job.train"}
    for level in ("0.25", "0.7500"):  # its compiled file may be of the same second
        world.write("job/levels.py", LEVEL.format(level))
        assert world.train(command=command) == (True, float(level))


RECIPE = {"model": "claims:build", "model_args": {"width": 4}, "epochs": 1}
BUILD = """
from torch import nn
{imports}
def build(width):
    return nn.Sequential(nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2))
"""


def test_a_changed_helper_of_a_recipes_model_trains_the_pool_anew(world: CodeWorld):
    world.write("sizes.py", "HIDDEN = 3\n")
    world.write("claims.py", BUILD.format(imports="from sizes import HIDDEN"))
    subject = world.world.subject(recipe=RECIPE)
    assert not any(world.world.train(subject).values())
    assert all(world.world.train(subject).values())
    world.write("sizes.py", "HIDDEN = 5\n")
    assert not any(world.world.train(subject).values())


def test_code_that_imports_nothing_of_the_project_keeps_the_key_that_it_had(world: CodeWorld):
    """Pools took hours: a digest of the one file, as before imports were followed."""
    own = world.write("claims.py", BUILD.format(imports="HIDDEN = 3"))
    for model, file in ((RECIPE["model"], own), ("memory_assets.models.mlp:mlp", None)):
        subject = world.world.subject(recipe=RECIPE | {"model": model})
        path = file or Path(sys.modules["memory_assets"].__file__ or "").parent / "models/mlp.py"
        way = shadows.plan_pool(subject, world.root, world.world.prepared(subject)).way
        assert way.asked_by()[0] == digest({model: digest_file(path)})


@pytest.fixture
def installed(world: CodeWorld) -> Iterator[str]:
    """Where packages of an environment lie."""
    place = world.root / "env" / "site-packages"
    sys.path.insert(0, str(place))
    yield "env/site-packages"
    version_here.cache_clear()


def install(
    world: CodeWorld,
    where: str,
    files: Mapping[str, str],
    version: str = "1.0",
    index: bool = False,
) -> None:
    """Put a package there, as `pip` does from a folder, or from an index."""
    about = f"{where}/house_tools-1.0.dist-info"
    for name, text in files.items():
        world.write(f"{where}/{name}", text)
    described = f"Metadata-Version: 2.1\nName: house-tools\nVersion: {version}\n"
    world.write(f"{about}/METADATA", described)
    if not index:
        world.write(f"{about}/direct_url.json", '{"url": "file:///src", "dir_info": {}}')
    lines = [f"{name},sha256={digest(text)},{len(text)}" for name, text in files.items()]
    world.write(f"{about}/RECORD", "\n".join(lines) + "\n")


def test_packages_that_train_are_in_the_key_by_major_and_minor_version(
    world: CodeWorld, installed: str
):
    world.write("claims.py", "import house_tools, sklearn.ensemble, json\nLEVEL = 0.5\n" + TOP)
    keys = []
    for version in ("1.4.2", "1.4.3+cpu", "1.5.0"):
        install(world, installed, {"house_tools.py": ""}, version, index=True)
        version_here.cache_clear()  # as another process would find it
        assert set(packages("claims:fit", "fit")) == {"house-tools", "numpy", "scikit-learn"}
        keys.append(world.pool_key(fit="claims:fit"))
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("reference", ["claims:fit", "house_tools.levels:fit"])
def test_a_package_built_from_a_folder_is_known_by_its_contents(
    world: CodeWorld, installed: str, reference: str
):
    world.write("claims.py", "from house_tools.levels import LEVEL\n" + TOP)
    keys = []
    for level in ("0.25", "0.75"):
        code = LEVEL.format(level) + TOP
        install(world, installed, {"house_tools/__init__.py": "", "house_tools/levels.py": code})
        version_here.cache_clear()  # as another process would find it
        keys.append(world.pool_key(fit=reference))
    assert keys[0] != keys[1]


def test_what_is_installed_or_of_this_program_is_not_followed(world: CodeWorld):
    world.write(
        "claims.py", "import memory_assets.store.digest, sklearn, json\nLEVEL = 0.5\n" + TOP
    )
    assert set(code_files("claims:fit", "fit")) == {"claims:fit"}


def test_a_gate_does_not_answer_for_models_of_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    project = make_project(tmp_path, monkeypatch)
    (tmp_path / "gated_sizes.py").write_text("WIDTH = 1\n")
    code = "import gated_sizes\nfrom memory_assets.models.mlp import mlp as build\n"
    (tmp_path / "gated_code.py").write_text(code)
    defs = tmp_path / "dagster_project" / "defs" / "tiny" / "defs.yaml"
    defs.write_text(defs.read_text().replace("memory_assets.models.mlp:mlp", "gated_code:build"))
    concluded(project, "pass")
    assert project.gate()[0] == 0
    (tmp_path / "gated_sizes.py").write_text("WIDTH = 2\n")
    code, said = project.gate()
    assert (code, said["verdict"]) == (5, "not audited")


def test_texts_that_are_no_names_are_passed_over(world: CodeWorld):
    odd = ["a" * 290, "\\0.py", "あ" * 120 + ".py", "/", "..", "*", "a\\nb.py", "", " .py"]
    texts = ", ".join(f"'{text}'" for text in odd)
    world.write("claims.py", f"import sys\nsys.path\nimport importlib\nODD = [{texts}]\n" + TOP)
    assert set(code_files("claims:fit", "fit")) == {"claims:fit"}


def test_code_that_cannot_be_parsed_counts_by_its_bytes(world: CodeWorld):
    world.write(
        "claims.py", "try:\n    import broken\nexcept SyntaxError:\n    LEVEL = 0.5\n" + TOP
    )
    world.write("broken.py", "LEVEL = (\n")
    before = world.pool_key(fit="claims:fit")
    world.write("broken.py", "LEVEL = [\n")
    assert world.pool_key(fit="claims:fit") != before


def test_code_in_an_archive_is_refused_by_name(world: CodeWorld):
    """Its changes would go unseen: the models of old code would stand for the new."""
    with zipfile.ZipFile(world.root / "tools.zip", "w") as archive:
        archive.writestr("levels.py", LEVEL.format(0.25))
    world.write(
        "claims.py", "import sys\nsys.path.append('tools.zip')\nfrom levels import LEVEL\n" + TOP
    )
    with pytest.raises(InputError, match=r"levels: its code lies in an archive .*tools\.zip"):
        world.train(fit="claims:fit")
