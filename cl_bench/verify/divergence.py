"""Divergences and the base model: what must be 0, and what is said in two ways."""

from __future__ import annotations

import numpy as np

from cl_bench.verify.checked_run import LABEL, CheckedRun

_KL = ("kl_policy_base", "kl_base_policy")
_DEPLOYED = "kl_deployed_start"
_UNITS = ("", "_sequence")
MEASURED = ("entropy", *(name + unit for name in _KL for unit in _UNITS))
"""The columns that are NaN in rows that are `CheckedRun.unmeasured`."""
_SINGLE = 1e-4
"""Relative rounding of sums in single precision."""


def zero_divergence(run: CheckedRun) -> None:
    """Before training the policy is the base, and the base's own rows are always of the base."""
    frame = run.tables["evaluations"]
    start, base = frame["step"].eq(0), frame["weights"].eq("base")
    for name in (name + unit for name in _KL for unit in _UNITS):
        off = frame[name].ne(0) & frame[name].notna()
        reason = f"{name} is {{}} at step 0, where the policy is still the base; it must be 0"
        run.rows("evaluations", off & start, reason, frame[name])
        reason = f"{name} is {{}} of the base itself; it must be 0"
        run.rows("evaluations", off & base & ~start, reason, frame[name])


def unmeasured(run: CheckedRun) -> None:
    """Of greedy responses, validation problems and benchmarks no divergence is stated, nor an
    entropy."""
    frame = run.tables["evaluations"]
    where = run.unmeasured(frame)
    for name in MEASURED:
        reason = f"{name} is {{}} where it is not measured"
        run.rows("evaluations", where & frame[name].notna(), reason, frame[name])
    for name in (f"{name}_tokens" for name in _KL):
        reason = f"{name} is {{}} where nothing is measured"
        run.rows("evaluations", where & frame[name].ne(0), reason, frame[name])


def two_ways(run: CheckedRun) -> None:
    """The divergence per token times tokens is that per response times responses."""
    frame = run.tables["evaluations"]
    most = run.config.evaluation.kl_items
    measured = frame["n_items"].clip(upper=most) if most else frame["n_items"]
    for name, of in ((_KL[0], _KL[0]), (_KL[1], _KL[1]), (_DEPLOYED, _KL[0])):
        by_token = frame[name] * frame[f"{of}_tokens"]
        by_response = frame[f"{name}_sequence"] * measured
        wrong = ~np.isclose(by_token, by_response, rtol=_SINGLE, atol=1e-6)
        known = by_token.notna() & by_response.notna()
        reason = (
            f"{name} per token times its tokens is not {name}_sequence times its responses: one of "
            "them was changed"
        )
        run.rows("evaluations", known & wrong, reason)


def deployed(run: CheckedRun) -> None:
    """How far what is deployed lies from the start is measured on all of the stream's problems or
    not at all, and under the seed prompt it is how far the policy lies from the base."""
    frame = run.tables["evaluations"]
    stream, seed = frame["test_set"].eq("stream"), frame["prompt"].eq("seed")
    measured = frame[_DEPLOYED].notna().any()
    for unit in _UNITS:
        name, other = _DEPLOYED + unit, f"kl_policy_base{unit}"
        found, same = frame[name], frame[other]
        differs = found.notna() & same.notna() & ~np.isclose(found, same, rtol=_SINGLE)
        reason = f"{name} under the seed prompt is not {other}"
        run.rows("evaluations", differs & seed, reason)
        run.rows("evaluations", measured & stream & found.isna(), f"{name} is missing")
        reason = f"{name} is measured on the stream's own problems only"
        run.rows("evaluations", ~stream & found.notna(), reason)


def base(run: CheckedRun) -> None:
    """At step 0 the base's rows are copies of the policy's, tokens of the base included."""
    frame = run.tables["evaluations"]
    rows = frame[frame["step"].eq(0) & frame["test_set"].eq("stream")]
    copied = ["accuracy", "entropy", "completion_tokens", "kl_policy_base_tokens", _DEPLOYED]
    key = [name for name in LABEL if name != "weights"]
    trained = rows[rows["weights"].eq("trained")].drop_duplicates(key).set_index(key)[copied]
    own = rows[rows["weights"].eq("base")]
    pairs = own[key].join(trained, on=key)[copied]
    differs = ((own[copied] != pairs) & pairs.notna()).any(axis=1)
    reason = "at step 0 the base answers as the policy does, but these rows differ"
    run.rows("evaluations", differs, reason)
