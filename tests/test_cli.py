"""The command line: what it offers, what it refuses and how, and one whole run of the main job."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from unbraid.cli import command_line, main
from unbraid.runs import Run

HEAVY = ("torch", "numpy", "scipy", "matplotlib", "sklearn", "skimage", "safetensors", "jinja2", "pandas", "PIL")
TINY = ["--count", "40", "--widths", "[4]", "--training.steps", "2", "--training.batch_size", "8"]


def start(*words, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "unbraid", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        **options,
    )


def call(*words):
    process = start(*words)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def leaves(parser):
    for command in parser.commands.values():
        yield from leaves(command)
    if not parser.commands:
        yield parser


LEAVES = {parser.prog: parser for parser in leaves(command_line())}


def test_help_and_refusals_need_nothing_heavy():
    """In one fresh process, since every start costs: all pages of help, and wrong options of several kinds."""
    calls = [[*prog.split()[1:], "--help"] for prog in ("unbraid", "unbraid train", *LEAVES)]
    calls += [["--version"], ["tran"], ["train", "sprites", "x", "--latnets", "3"], ["evaluate", "x", "--seed", "none"]]
    calls += [["train", "grassy", "x", "--print_config"], ["train", "sprites"], ["report"], ["completion", "zsh"]]
    code = f"""
import sys
from unbraid.cli import main
for words in {calls!r}:
    try:
        main(words)
    except SystemExit as end:
        print("code", end.code, *words)
print("heavy", *(set({HEAVY!r}) & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Traceback" not in ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[-1] == "heavy"
    codes = {line.split(" ", 2)[2]: line.split()[1] for line in lines if line.startswith("code ")}
    assert {words for words, code in codes.items() if code == "2"} == {
        "tran",
        "train sprites x --latnets 3",
        "evaluate x --seed none",
        "train sprites",
        "report",
    }
    assert {codes[" ".join(words)] for words in calls if words[-1] == "--help"} == {"0"}
    assert "#compdef unbraid" in ran.stdout


@pytest.mark.parametrize("prog", LEAVES)
def test_help_explains_every_option(prog, capsys):
    parser = LEAVES[prog]
    with pytest.raises(SystemExit, match="0"):
        main([*prog.split()[1:], "--help"])
    page = " ".join(capsys.readouterr().out.split())
    assert page.startswith(f"usage: {prog} ")
    assert " or NoneType" not in page
    assert "<class" not in page
    for action in parser._actions:
        if action.help == "==SUPPRESS==":
            continue
        assert action.help, f"{prog}: the docstring says nothing about {action.dest}"
        if action.option_strings and isinstance(action.default, int | float) and action.nargs != 0:
            assert f"(default: {action.default})" in page
    # nothing is offered that only Python can give
    assert "--data" not in page


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("tran", ["expected one of demo, train, ", "got 'tran'", "Did you mean train?", "`unbraid --help`"]),
        ("", ["expected COMMAND after `unbraid`"]),
        ("--versoin", ["Did you mean --version?"]),
        ("train", ["expected RECIPE after `unbraid train`"]),
        ("train sprits", ["Did you mean sprites?"]),
        ("train sprites", ["expected OUT after `unbraid train sprites`"]),
        ("train sprites x y", ["there is no y in `unbraid train sprites`"]),
        ("sweep", ["expected RECIPE after `unbraid sweep`"]),
        ("sweep sprites", ["expected OUT after `unbraid sweep sprites`"]),
        ("sweep sprites x --ovr model=vae", ["Did you mean --over?"]),
        ("sweep sprites x --over", ["expected a value after --over"]),
        ("sweep sprites x --processes many", ["expected INT for --processes, got 'many'"]),
        ("train sprites x --steps 4", ["there is no --steps", "Did you mean --training.steps?"]),
        ("train sprites x --training.batchsize=4", ["Did you mean --training.batch-size?"]),
        ("train sprites x --latnets 4", ["Did you mean --latents?", "`unbraid train sprites --help`"]),
        ("train sprites x --zzz 4", ["there is no --zzz"]),
        ("train sprites x --lat 4", ["there is no --lat "]),  # an abbreviation today is ambiguous tomorrow
        ("train sprites x --model sr-vea", ["expected {vae,res-vae,seq-vae,sr-vae}", "Did you mean sr-vae?"]),
        ("train sprites x --latents abc", ["expected INT for --latents, got 'abc'"]),
        ("train sprites x --strength low", ["expected NUMBER or null for --strength, got 'low'"]),
        ("train sprites x --objective factr", ["expected {elbo,beta,", "Did you mean factor?"]),
        ("train sprites x --size 63", ["expected {64,32,16} for --size, got '63'"]),
        ("train sprites x --widths 1,b", ["expected [INT,...] or null for --widths"]),
        ("train grassy x --training.balanced maybe", ["expected {true,false} for --training.balanced"]),
        ("train grassy x --training.steps", ["expected a value after --training.steps"]),
        ("train vectors x --seeds 1-b", ["expected seeds as 3 or 0-9 for --seeds, got '1-b'"]),
        ("train vectors x --seeds 0 2-1", ["expected seeds as 3 or 0-9 for --seeds, got '2-1'"]),
        ("train vectors x --seeds", ["expected a value after --seeds"]),
        ("train vectors x --seed 1", ["Did you mean --training.seed?"]),
        ("train grassy x --config no.yaml", ["--config", "does not exist"]),
        ("train grassy x --config", ["expected a value after --config"]),
        ("evaluate", ["expected RUN after `unbraid evaluate`"]),
        ("evaluate x --max-code 5", ["Did you mean --max-codes?"]),
        ("report", ["expected RUNS after `unbraid report`"]),
        ("demo --scale ful", ["expected {full,smoke} for --scale, got 'ful'", "Did you mean full?"]),
    ],
)
def test_refuses_wrong_options(words, expected, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(words.split())
    printed = capsys.readouterr()
    assert printed.out == ""
    for part in expected:
        assert part in printed.err
    assert ("Did you mean" in printed.err) == any("Did you mean" in part for part in expected)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("latnets: 3", "Did you mean --latents?"),
        ("training: {steps: many}", "expected INT for --training.steps, got 'many'"),
        ("a: [", "Problems parsing config"),
    ],
)
def test_refuses_a_wrong_file_of_options(content, expected, tmp_path, capsys):
    (tmp_path / "options.yaml").write_text(content)
    with pytest.raises(SystemExit, match="2"):
        main(["train", "sprites", str(tmp_path / "run"), "--config", str(tmp_path / "options.yaml")])
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("train sprites new --training.steps 0", "expected steps of at least 1, got 0"),
        ("train vectors new --shared 0", "got 0"),
        ("train vectors new --training.device abacus", "got 'abacus'"),
        ("train vectors . --training.steps 1", "expected a new or empty folder"),
        ("resume .", "expected a run folder"),
        ("train vectors new --seeds 1 0-2", "expected different seeds, at least one, got [1, 0, 1, 2]"),
        ("evaluate nowhere", "expected a run folder"),
        ("follow nowhere", "expected a run folder"),
        ("forgetting nowhere", "expected a run folder"),
        ("train extend new nowhere iris flowers", "expected a run folder"),
        ("sweep vectors new --over shared=2,x", "expected a whole number for shared, got 'x'"),
        ("sweep vectors new --over shared", "expected NAME=VALUE,VALUE for --over"),
        ("sweep vectors new --over shraed=2", "did you mean shared?"),
        ("sweep vectors new --over objective=mi --over objective=elbo", "expected every name once in --over"),
        ("sweep vectors new --over shared=2,0 --count 40", "shared=0 seed 0: "),
        ("sweep vectors new --metrics miig", "did you mean mig?"),
        ("sweep vectors new --processes 0", "expected processes of at least 1"),
        ("sweep vectors new --seeds 1 0-2", "expected different seeds"),
        ("report nowhere", "expected a run folder"),
        ("list nowhere", "expected a folder with runs"),
        ("train vectors file/new --count 40 --training.steps 1 --training.batch_size 8", "file"),
    ],
)
def test_refuses_bad_input_in_one_line(words, expected, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("not a folder")
    assert main(words.split()) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert expected in printed.err
    assert printed.err.startswith("unbraid: ")
    assert printed.err.count("\n") == 1
    assert not Path("new").exists()


def test_options_from_a_file_give_way_to_the_command_line(tmp_path, capsys):
    file = tmp_path / "options.yaml"
    with pytest.raises(SystemExit, match="0"):
        main(["train", "vectors", *TINY, "--print_config"])
    file.write_text(capsys.readouterr().out)
    for order in (0, 4):
        words = ["--training.seed", "7", "--alpha", "0.5"]
        words[order:order] = ["--config", str(file)]
        assert main(["train", "vectors", str(tmp_path / f"run{order}"), *words]) == 0
        run = Run(tmp_path / f"run{order}")
        assert capsys.readouterr().out == f"{run.path}\n"
        assert (run.record["seed"], run.record["arguments"]["alpha"], run.record["training"]["steps"]) == (7, 0.5, 2)
        assert run.record["arguments"]["count"] == 40


def test_seeds_are_trained_at_once_each_in_its_folder(tmp_path, capsys):
    folder, file = tmp_path / "many", tmp_path / "options.yaml"
    assert main(["train", "vectors", str(folder), *TINY, "--seeds", "0-1", "5"]) == 0
    paths = [folder / f"seed-{seed}" for seed in (0, 1, 5)]
    assert capsys.readouterr().out == "".join(f"{path}\n" for path in paths)
    assert [Run(path).record["seed"] for path in paths] == [0, 1, 5]
    assert main(["resume", str(folder)]) == 0
    assert capsys.readouterr().out == "".join(f"{path}\n" for path in paths)
    file.write_text("seeds: [7, 8-9]\ncount: 40\nwidths: [4]\ntraining: {steps: 2, batch_size: 8}")
    assert main(["train", "vectors", str(tmp_path / "more"), "--config", str(file)]) == 0
    assert sorted(path.name for path in (tmp_path / "more").iterdir()) == ["seed-7", "seed-8", "seed-9"]


@pytest.mark.parametrize("seeds", ["3", "0-2"])
def test_seeds_in_a_file_are_a_list(tmp_path, capsys, seeds):
    file = tmp_path / "options.yaml"
    file.write_text(f"seeds: {seeds}")
    with pytest.raises(SystemExit, match="2"):
        main(["train", "vectors", str(tmp_path / "runs"), "--config", str(file)])
    assert "expected seeds as a list" in capsys.readouterr().err


def test_options_are_printed_by_the_name_that_help_shows(capsys):
    for words in (["--print-config", "--seeds", "0"], ["--seeds", "0", "--print-config"]):
        with pytest.raises(SystemExit, match="0"):
            main(["train", "vectors", "x", *words])
        assert "true_shared: 2" in capsys.readouterr().out


def test_evaluate_prints_results_and_list_shows_runs(tmp_path, capsys, caplog):
    assert main(["list", str(tmp_path)]) == 0
    assert capsys.readouterr().out == ""
    assert main(["train", "vectors", str(tmp_path / "deep" / "run"), *TINY]) == 0
    for name, content in (("broken", "{"), ("bare", '{"format": 1}'), ("of another version", '{"format": 99}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(content)
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "deep" / "run"), "--seed", "3"]) == 0
    *results, path = capsys.readouterr().out.splitlines()
    assert path == str(tmp_path / "deep" / "run")
    assert any(line.startswith("shared code, true shared factors: canonical_correlation") for line in results)
    assert main(["list", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["run", "model", "objective", "seed", "status", "steps", "measured"]
    assert len(lines) == 2
    row = lines[1].split()
    assert row[:6] == [str(tmp_path / "deep" / "run"), "CPVAE", "CrossPopulation", "0", "finished", "2/2"]
    assert "canonical_correlation shared code" in lines[1]
    assert sorted(record.args[0].name for record in caplog.records if "left out" in record.msg) == [
        "bare",
        "broken",
        "of another version",
    ]


@pytest.mark.slow
def test_a_sweep_says_what_failed_and_shows_the_others(tmp_path, capfd):
    words = ["--over", "training.learning-rate=1e-3,1e30", "--metrics", "active_units", "--processes", "2"]
    assert main(["sweep", "vectors", str(tmp_path / "out"), *TINY, *words]) == 1
    printed = capfd.readouterr()
    *values, path = printed.out.splitlines()
    assert path == str(tmp_path / "out" / "results.csv")
    assert all(line.startswith("training.learning_rate=0.001: ") for line in values)
    assert "expected 2 finished runs, but 1 failed: training.learning_rate=1e+30 seed 0: " in printed.err
    assert "became NaN or infinite" in printed.err
    assert Run(tmp_path / "out" / "training.learning_rate=0.001" / "seed-0").evaluation() is not None


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(tmp_path):
    run = tmp_path / "run"
    process = start("train", "vectors", run, "--training.steps", "100000", "--training.batch_size", "8")
    deadline = time.monotonic() + 120
    while not (run / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (130, ""), err
    assert "unbraid: stopped" in err
    assert "Traceback" not in err
    assert Run(run).status["status"] == "interrupted"


@pytest.mark.slow
def test_demo_from_end_to_end(tmp_path, capsys):
    folder = tmp_path / "demo"
    words = ["demo", "--scale", "smoke", "--out", folder]
    code, out, err = call(*words)
    assert code == 0, err
    page = Path(out.splitlines()[-1])
    assert page == (folder / "report.html").resolve()
    assert page.stat().st_size > 100_000
    written = {file: file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file() and file != page}
    code, again, err = call(*words)
    assert (code, again) == (0, out), err
    assert {file: file.stat().st_mtime_ns for file in written} == written, "finished runs are left as they are"
    assert main(["list", str(folder)]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 4
    assert [row.split()[4] for row in rows[1:]] == ["finished"] * 3
    assert "clustering_ari private code" in rows[2]
    assert main([*map(str, words), "--seed", "1"]) == 1
    assert "choose another folder" in capsys.readouterr().err
