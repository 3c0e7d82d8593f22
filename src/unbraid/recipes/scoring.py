"""Scoring a representation made elsewhere: codes and factors from files, the same metrics as for a run."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from unbraid.recipes.measures import FACTORS, chosen

if TYPE_CHECKING:
    import numpy as np

    from unbraid.metrics import Result


@dataclass(frozen=True)
class Scores:
    """What was measured, what metrics refused with the reason, and whether to print JSON."""

    results: "list[Result]"
    left_out: list[tuple[str, str]] = field(default_factory=list)
    json: bool = False


def score(
    codes: Path,
    factors: Path,
    test_from: int | None = None,
    metrics: str = "all",
    seed: int = 0,
    json: bool = False,
) -> Scores:
    """Score codes against the factors that made their observations, whatever made the codes.

    Metrics that fit something are scored on held-out rows; those that fit nothing see the training rows if `test_from`
    is given, else all rows.

    Args:
        codes: `.npy` file of numbers [n, latent].
        factors: `.npy` file of integers [n, factor], row by row of the same observations.
        test_from: first row of the held-out part; without it a random third is held out.
        metrics: all, standard (all but the slow ones), or names with commas between, such as mig,dci.
        seed: of everything random.
        json: print one JSON object a line.

    Raises:
        ValueError: a file is no array of that form, or the two do not fit together.
    """
    wanted = chosen(metrics, FACTORS)
    import numpy as np

    from unbraid.metrics import Result
    from unbraid.metrics.labelled import labelled, train_and_test
    from unbraid.progress import ProgressBar
    from unbraid.recipes.suite import row_suite

    known = _whole(_array(factors, "factors"))
    given = labelled(_array(codes, "codes"), known, least=4)
    train_and_test(len(given.codes), test_from, seed)
    found = Scores([], [], json)
    every = row_suite(given.codes, known.astype(np.int64), test_from, seed)  # not renumbered: some take distances
    suite = [metric for metric in every if wanted(metric.func.__name__)]
    with ProgressBar("scoring", len(suite), "metrics") as display:
        for done, metric in enumerate(suite):
            display.show(done, metric.func.__name__)
            try:
                outcome = metric()
            except ValueError as error:
                refused = (metric.func.__name__, str(error))
                found.left_out.extend({refused} - set(found.left_out))  # protocols may refuse alike
                continue
            found.results.extend([outcome] if isinstance(outcome, Result) else outcome.values())
        display.show(len(suite))
    return found


def _array(file: Path, name: str) -> "np.ndarray":
    """The array in a `.npy` file; nothing that could run code is loaded."""
    import numpy as np

    try:
        array = np.load(file, allow_pickle=False)
    except FileNotFoundError as error:
        raise ValueError(f"expected {name} in '{file}', which does not exist") from error
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(
            f"expected {name} as an array of numbers in the .npy file '{file}', got something else ({error}); "
            "write it with np.save(file, array)"
        ) from error
    if not isinstance(array, np.ndarray):
        with array:
            names = sorted(array)
        raise ValueError(f"expected {name} as one array in '{file}', got an archive of {names}; save one array")
    return array


def _whole(factors: "np.ndarray") -> "np.ndarray":
    """Factors kept as floats are taken as integers if they are whole."""
    import numpy as np

    if factors.dtype.kind == "f" and (np.abs(factors) <= 2**53).all() and (factors == np.floor(factors)).all():
        return factors.astype(np.int64)
    return factors
