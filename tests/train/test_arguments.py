"""The command line and the recipes of a training run: what they accept, and what a mistake in them says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from internvl.errors import InputError
from tests.tiny_run import ROOT, run_process
from train.arguments import build_parser, parse, write_config
from train.config import DataConfig, FinetuneConfig, ModelConfig, OptimConfig

NEEDED = ["--model.pretrained", "some/model", "--meta_path", "some/meta.json"]
RECIPES = sorted((ROOT / "train" / "recipes").glob("*.yaml"))


def refuse(arguments: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse([*NEEDED, *arguments])
    assert "\n" not in str(caught.value)


def write_recipe(folder: Path, text: str) -> str:
    (folder / "recipe.yaml").write_text(text)
    return str(folder / "recipe.yaml")


def test_help_names_every_option_and_needs_no_torch():
    code = (
        "import sys\nfrom train.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: print(end.code, 'torch' in sys.modules, 'lightning' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    *text, last = done.stdout.splitlines()
    assert last == "0 False False"
    for option in ("--config", "--model.pretrained", "--data.meta_path", "--optim.learning_rate", "--batch_size"):
        assert option in "\n".join(text)


def test_help_says_what_every_option_means():
    options = [action for action in build_parser()._actions if action.option_strings[-1].count(".") == 1]
    assert len(options) > 30
    silent = [action.option_strings[-1] for action in options if not action.help or action.help == "==SUPPRESS=="]
    assert silent == []


def test_a_mistyped_option_ends_the_program_with_one_line_and_code_2():
    done = run_process("--batchsize", "3")
    assert (done.code, done.output) == (2, "")
    assert done.errors == (
        "error: option: expected a known name, got --batchsize; did you mean --batch_size or --data.resize?\n"
    )


@pytest.mark.parametrize(
    ("word", "close"),
    [
        ("--optim.learning_rte", "--optim.learning_rate"),
        ("--num_workers", "--data.num_workers"),
        ("--model.freeze-llm", "--model.freeze_llm"),
        ("--pretrained", "--model.pretrained"),
    ],
)
def test_a_mistyped_option_is_answered_with_a_close_one(word, close):
    refuse([word, "1"], rf"^option: expected a known name, got {word.split('=')[0]}; did you mean {close}\b")


def test_an_option_close_to_none_points_at_the_help():
    refuse(["--xyzzy", "1"], r"^option: expected a known name, got --xyzzy; see python -m train --help$")


def test_options_are_not_abbreviated():
    refuse(["--save_st", "1"], "^option: expected a known name, got --save_st; did you mean --save_steps")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--batch_size", "many"], '"batch_size": Expected a .*int.* Got value: many'),
        (["--optim.decay", "some"], r"\"optim.decay\": .*'all', 'matrices'.* Got value: some"),
        (
            ["--data.loss_reduction", "mean"],
            r"\"data.loss_reduction\": .*'token', 'sample', 'square'.* Got value: mean",
        ),
        (["--optim.betas", "[0.9]"], '"optim.betas": Expected a tuple with 2 elements'),
        (["--precision", "fp7"], '"precision": .*bf16-mixed.* fp7'),
        (["--devices", "two"], '"devices": .*auto.* two'),
        (["--batch_size"], "--batch_size: expected one argument"),
        (["stray"], "unrecognized arguments: stray"),
    ],
)
def test_a_wrong_value_is_named_with_its_option(arguments, named):
    refuse(arguments, rf"^option: expected valid values, got .*{named}")


@pytest.mark.parametrize(
    "name",
    [
        "batch_size",
        "per_device_batch_size",
        "max_steps",
        "devices",
        "save_steps",
        "save_total_limit",
        "log_steps",
        "num_train_epochs",
        "data.max_seq_length",
        "data.max_packed_tiles",
    ],
)
def test_a_count_of_nothing_is_refused(name):
    refuse([f"--{name}", "0"], rf"^{name}: expected (at least 1|more than 0), got 0")


@pytest.mark.parametrize("name", ["num_workers", "index_workers"])
def test_less_than_no_worker_is_refused(name):
    assert getattr(parse([*NEEDED, f"--data.{name}", "0"]).data, name) == 0
    refuse([f"--data.{name}", "-1"], rf"^data\.{name}: expected at least 0, got -1; give a larger number$")


@pytest.mark.parametrize("name", ["max_bad_share", "max_repetition"])
def test_a_share_is_between_nothing_and_all(name):
    for value in (0, 0.3, 1):
        assert getattr(parse([*NEEDED, f"--data.{name}={value}"]).data, name) == value
    for value in ("-0.1", "1.5", ".nan"):
        refuse([f"--data.{name}={value}"], rf"^data\.{name}: expected a share from 0 to 1, got ")


def test_a_pack_holds_the_longest_sample():
    longest = ["--max_seq_length=4096"]
    assert parse([*NEEDED, *longest, "--max_packed_tokens=4096"]).data.max_packed_tokens == 4096
    message = r"^data\.max_packed_tokens: expected at least data\.max_seq_length \(4096\), got 4095; raise it, or lower"
    refuse([*longest, "--max_packed_tokens=4095"], message)
    # Padded batches have no such limit.
    assert parse([*NEEDED, *longest, "--max_packed_tokens=9", "--data.packing=false"]).data.max_seq_length == 4096


def test_grouping_by_length_is_for_padded_batches():
    refuse(
        ["--group_by_length=true"], r"^data\.group_by_length: expected false with data\.packing, got true; it groups"
    )
    config = parse([*NEEDED, "--group_by_length=true", "--use_packed_ds=false"])
    assert (config.data.packing, config.data.group_by_length) == (False, True)


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        ([], "model.pretrained"),
        (["--meta_path", "some/meta.json"], "model.pretrained"),
        (["--model.pretrained", "some/model"], "data.meta_path"),
    ],
)
def test_a_missing_path_is_named(arguments, missing):
    with pytest.raises(InputError, match=rf"^{missing}: expected a path, got none; give --{missing} or name it in"):
        parse(arguments)


@pytest.mark.parametrize("join", [lambda name, value: [name, value], lambda name, value: [f"{name}={value}"]])
def test_published_spellings_are_understood(join):
    config = parse([*join("--model_name_or_path", "a=b"), *join("--meta_path", "c")])
    assert (config.model.pretrained, config.data.meta_path) == ("a=b", "c")
    words = [join("--num_images_expected", "24"), join("--use_packed_ds", "false"), join("--loss_reduction", "square")]
    data = parse([*NEEDED, *(word for pair in words for word in pair), *join("--max_dynamic_patch", "3")]).data
    assert (data.max_packed_tiles, data.packing, data.loss_reduction, data.max_dynamic_patch) == (
        24,
        False,
        "square",
        3,
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("batchsize: 3", "batchsize"),
        ("optim:\n  learning_rte: 1", "learning_rte"),
        ("batch_size: many", "batch_size.*many"),
        ("- 1", "Unexpected config"),
        ("a: [1", "Problems parsing config"),
    ],
)
def test_a_mistake_in_a_recipe_is_named(text, named, tmp_path):
    refuse(["--config", write_recipe(tmp_path, text)], rf"^option: expected valid values, got .*{named}")


def test_a_recipe_that_does_not_exist_is_named():
    refuse(["--config", "lost.yaml"], r"lost\.yaml")


def test_options_win_over_the_recipe_and_the_recipe_over_defaults(tmp_path):
    recipe = write_recipe(tmp_path, "batch_size: 32\nsave_steps: 7\nmodel:\n  pretrained: from/recipe")
    config = parse(["--config", recipe, "--batch_size", "64", "--meta_path", "m"])
    assert (config.batch_size, config.save_steps, config.model.pretrained) == (64, 7, "from/recipe")
    assert config.per_device_batch_size == FinetuneConfig().per_device_batch_size


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_loads(recipe):
    config = parse([*NEEDED[2:], "--config", str(recipe)])
    assert config != FinetuneConfig(model=ModelConfig(config.model.pretrained), data=DataConfig(config.data.meta_path))


def test_there_are_recipes():
    assert [path.stem for path in RECIPES if path.stem == "quickstart"]


def test_the_merged_options_are_printed(tmp_path):
    recipe = write_recipe(tmp_path, "output_dir: here\noptim:\n  learning_rate: 0.5\n")
    done = run_process("--config", recipe, *NEEDED, "--batch_size", "7", module="train.arguments")
    assert (done.code, done.errors) == (0, "")
    (tmp_path / "merged.yaml").write_text(done.output)
    config = parse(["--config", str(tmp_path / "merged.yaml")])
    assert config == parse(["--config", recipe, *NEEDED, "--batch_size", "7"])
    assert (config.output_dir, config.optim.learning_rate, config.batch_size) == ("here", 0.5, 7)


def test_a_mistake_is_printed_in_their_place():
    done = run_process(*NEEDED, "--batch_sise", "7", module="train.arguments")
    assert (done.code, done.output) == (2, "")
    assert done.errors.startswith("error: option: expected a known name, got --batch_sise; ")


def test_the_written_configuration_gives_the_equal_one(tmp_path):
    config = FinetuneConfig(
        model=ModelConfig("some/model", freeze_llm=True, drop_path_rate=0.4, conv_style="Hermes-2", attention="sdpa"),
        data=DataConfig(
            "some/meta.json",
            packing=False,
            group_by_length=True,
            max_seq_length=128,
            dynamic_image_size=True,
            max_dynamic_patch=6,
            frame_sampling="fps1",
            index_cache="some/folder",
            index_workers=3,
            loss_reduction="square",
            max_bad_share=0.25,
            max_repetition=0.4,
            num_workers=0,
        ),
        optim=OptimConfig(4e-5, betas=(0.8, 0.95), eps=1e-6, decay="matrices"),
        output_dir="work_dirs/gr\u00fcn",
        num_train_epochs=0.5,
        max_steps=9,
        devices=2,
        overwrite=True,
    )
    write_config(config, tmp_path / "config.yaml")
    assert parse(["--config", str(tmp_path / "config.yaml")]) == config
    write_config(parse(NEEDED), tmp_path / "defaults.yaml")
    assert parse(["--config", str(tmp_path / "defaults.yaml")]) == parse(NEEDED)


def test_only_the_tiling_options_that_were_given_replace_the_checkpoints():
    own = {"resize": "pillow", "refuse_truncated": True}
    assert DataConfig().tiling == own
    assert DataConfig(keep_truncated_pictures=True).tiling == {**own, "refuse_truncated": False}
    given = DataConfig(dynamic_image_size=False, use_thumbnail=True, min_dynamic_patch=2, max_dynamic_patch=6)
    assert given.tiling == {"dynamic": False, "thumbnail": True, "min_tiles": 2, "max_tiles": 6, **own}
