"""Settings: the issue's defaults, unknown keys refused, one sentence for each mistake."""

from pathlib import Path

import pytest

from kstep.config import Config, describe, load_config
from kstep.errors import ConfigError
from kstep.potentials import make_method

CONFIGS = Path(__file__).parents[2] / "configs"


def test_the_shipped_files_hold_the_defaults():
    """Every key of configs/ at its default, so that the files document the program."""
    config = load_config([CONFIGS])
    assert config.model_dump() == load_config().model_dump()


@pytest.mark.parametrize("preset", ["", "quick", "xtb", "large", "propagator", "hmr"])
def test_no_preset_ends_by_the_clock(preset):
    """So that equal seeds give equal results on fast and slow machines."""
    config = load_config([CONFIGS / preset])
    assert (config.train.max_minutes, config.adapt.max_minutes) == (None, None)


def test_the_quick_files_are_valid():
    assert load_config([CONFIGS / "quick"]).train.max_steps is not None


def test_the_files_for_an_expensive_potential_are_valid():
    config = load_config([CONFIGS / "xtb"])
    assert (config.potential.name, config.hybrid.ensemble) == ("gfn2-xtb", "ghmc")
    assert config.md.temperatures == config.hybrid.temperatures
    # As `kstep adapt --smiles` sets them, so that later commands find its files to be their own.
    assert (config.md.burst.count, config.hybrid.network) == (0, "adapted")


@pytest.mark.parametrize("k_steps", [1, 7, 4096, 100_000])
def test_a_splitting_runs_at_any_stride_whatever_it_was_trained_with(k_steps):
    assert load_config([], [f"hybrid.k_steps={k_steps}"]).stride == k_steps


def test_a_stride_that_the_run_leaves_open_is_the_networks():
    """Configurations from before `hybrid.k_steps` say it so."""
    assert load_config([], ["train.k_steps=16"]).stride == 16
    assert load_config([], ["train.k_steps=16", "hybrid.k_steps=4"]).stride == 4


def test_whole_jumps_are_run_at_the_stride_they_were_trained_for():
    sources = [CONFIGS / "propagator"]
    assert load_config(sources, ["train.k_steps=16", "hybrid.k_steps=16"]).stride == 16
    with pytest.raises(ConfigError, match=r"hybrid.k_steps 16 is not what .*, train.k_steps 8:"):
        load_config(sources, ["hybrid.k_steps=16"])


@pytest.mark.parametrize("name", ["so3lr", "pyscf"])
def test_the_files_for_other_expensive_potentials_lie_on_top_of_those(name):
    below, config = load_config([CONFIGS / "xtb"]), load_config([CONFIGS / "xtb", CONFIGS / name])
    assert (config.potential.name, config.paths.run) == (name, Path("runs") / name)
    make_method(config.potential)
    different = {"potential": below.potential, "paths": below.paths}
    assert config.model_copy(update=different) == below


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("md.foo=1", r"md.foo \(in the override md.foo=1\) is not a setting"),
        ("nonsense.foo=1", "nonsense is not a setting"),
        ("md.dt_fs=-1", "is wrong: input should be greater than 0, but -1 was given"),
        ("md.dt_fs=8", r"md.dt_fs \(in the override md.dt_fs=8\) is wrong"),
        ("md.length_ns=long", r"md.length_ns \(.*\) is wrong.*'long' was given"),
        ("md.temperature_K=[]", "temperature_K is an empty list"),
        ("train.k_steps=5", "train.k_steps 5 is not among dataset.k_steps"),
        ("hybrid.k_steps=0", r"hybrid.k_steps \(.*\) is wrong: input should be greater than or"),
        (
            "dataset.k_steps=[4.5]",
            r"dataset.k_steps.0 \(.*\) is wrong: input should be a",
        ),
        ("train.lr_min=1", "lr_min must not exceed lr"),
        ("md.burst.length_steps=47", "must be a multiple of stride_steps"),
        ("md.constraints=None", "md.constraints must equal prep.constraints"),
        ("hybrid.corrector=none", "train.landing must be step"),
        ("md.length_ns", "is not an override"),
        ("length_ns=1", "is not an override"),
        ("md.length_ns=[", "not valid YAML"),
        ("md.length_ns=.inf", r"md.length_ns \(.*\) is wrong"),
        ("md.seed=-1", r"md.seed \(in the override md.seed=-1\) is wrong"),
        ("train.lambda_force=0.1", "and 0 without"),
        ("model.use_force_head=true", "lambda_force must be above 0"),
        ("hybrid.molecules=[]", "hybrid.molecules"),
        ("prep.seed=2147483648", r"prep.seed \(.*\) is wrong"),
        ("md.temperature_K=[300, 320, 300]", "names a temperature twice"),
        ("md.save_interval_steps=1000000", "shorter than one interval"),
        ("hybrid.basin.quench_every_ps=30", "longer than length_ps"),
        ("dataset.k_steps=[4]", "train.k_steps 8 is not among dataset.k_steps"),
    ],
)
def test_wrong_overrides_are_one_sentence(override, sentence):
    with pytest.raises(ConfigError, match=sentence) as caught:
        load_config([], [override])
    assert "\n" not in str(caught.value)


def test_a_hybrid_with_nothing_to_run_is_refused():
    with pytest.raises(ConfigError, match="leave nothing to run"):
        load_config([], ["hybrid.length_ps=0", "hybrid.nve_windows=0"])


def test_a_fault_in_a_file_names_the_file(tmp_path):
    path = tmp_path / "md.yaml"
    path.write_text("dt_fs: fast\n")
    with pytest.raises(ConfigError, match=r"md.dt_fs \(in .*md.yaml\) is wrong"):
        load_config([path])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a: [", "not valid YAML at line"),
        ("md:\n  dt_fs: 1\n  dt_fs: 2", r"not valid YAML at line 3 \(dt_fs stands there twice\)"),
        ("- 1", "must hold 'key: value' lines"),
    ],
)
def test_files_that_are_no_mappings_are_refused(tmp_path, content, sentence):
    path = tmp_path / "md.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=sentence):
        load_config([path])


def test_missing_sources_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        load_config([tmp_path / "none.yaml"])
    with pytest.raises(ConfigError, match="holds no section file"):
        load_config([tmp_path])


def test_later_sources_and_overrides_win(tmp_path):
    (tmp_path / "md.yaml").write_text("dt_fs: 1.0\nburst: {count: 7}\n")
    (tmp_path / "all.yaml").write_text("md: {dt_fs: 1.5}\n")
    config = load_config([tmp_path, tmp_path / "all.yaml"], ["md.burst.length_steps=24"])
    assert (config.md.dt_fs, config.md.burst.count, config.md.burst.length_steps) == (1.5, 7, 24)


def test_the_reference_names_every_setting():
    text = describe(Config.model_fields)
    for section, field in Config.model_fields.items():
        for key in field.annotation.model_fields:
            assert f"{section}.{key}" in text
