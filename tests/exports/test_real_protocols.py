"""Real series held against rules of every kind: what pydicom reads decides, in plain Python."""

from math import inf
from typing import Any

import pydicom
import pytest

from dicom_graph.dicom.protocols import Finding, parse_acquisition
from dicom_graph.exports.compliance import compliance
from dicom_graph.store.engine import Database
from dicom_graph.store.read import Store
from dicom_graph.store.read.conditions import Field, Test
from tests.against_dicompare import element_value, rules_of, series_files

OK, BAD, WARN = Finding.COMPLIANT, Finding.DEVIATING, Finding.WARNING


def _holds(rule: dict[str, Any], values: list[Any]) -> bool:
    """Whether all values of a series are as a rule wants them, in plain Python."""
    wanted, tolerance = rule.get("value"), rule.get("tolerance")
    folded = [
        [str(n).lower() for n in v] if isinstance(v, list) else str(v).lower() for v in values
    ]
    flat = [n for v in values for n in (v if isinstance(v, list) else [v])]
    if "contains_any" in rule:
        return all(any(part.lower() in v for part in rule["contains_any"]) for v in folded)
    if "contains_all" in rule:
        parts = {part.lower() for part in rule["contains_all"]}
        return all(isinstance(v, list) and parts <= set(v) for v in folded)
    if "contains" in rule:
        texts = [
            [n for n in (v if isinstance(v, list) else [v]) if isinstance(n, str)] for v in values
        ]
        return all(any(rule["contains"].lower() in n.lower() for n in some) for some in texts)
    if "min" in rule or "max" in rule:
        return all(rule.get("min", -inf) <= n <= rule.get("max", inf) for n in flat)
    if tolerance is not None:
        pairs = zip(
            flat, wanted if isinstance(wanted, list) else [wanted] * len(flat), strict=False
        )
        fits = not isinstance(wanted, list) or len(wanted) == len(flat)
        return fits and all(abs(n - w) <= tolerance + 1e-9 for n, w in pairs)
    if isinstance(wanted, list):
        told = folded[0] if len(folded) == 1 else map(str, folded)
        return set(told) == {str(n).lower() for n in wanted}
    return all(v == str(wanted).lower() for v in folded)


@pytest.mark.slow
async def test_real_series_are_held_against_rules_as_pydicom_reads_them(
    database: Database, import_files: Any
) -> None:
    n_rules, findings = 0, set[Finding]()
    store = Store(database)
    of_series = series_files()
    if not of_series:
        pytest.skip("no shared data")
    for uid, paths in of_series.items():
        paths = paths[:5]
        import_files(*paths)
        rules = list(rules_of(paths))
        acquisition = parse_acquisition("", {"fields": rules})
        (told,) = await compliance(store, acquisition, Field("uid", Test("eq", uid)))
        found = {id(each.rule): each.finding for each in told.deviations}
        data_sets = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
        for rule, parsed in zip(rules, acquisition.rules, strict=True):
            values = []
            for data_set in data_sets:
                value = element_value(data_set, rule["field"])
                values += [value] if value not in values else []
            expected = OK if _holds(rule, values) else BAD
            if expected is BAD and rule.get("severity") == "warning":
                expected = WARN
            elif expected is BAD and "errorTolerance" in rule:
                wide = {"value": rule["value"], "tolerance": rule["errorTolerance"]}
                expected = WARN if _holds(wide, values) else BAD
            elif expected is BAD and "errorMin" in rule:
                expected = WARN if _holds({"min": rule["errorMin"]}, values) else BAD
            assert found.get(id(parsed), OK) is expected, (uid, rule, values)
            findings.add(expected)
            n_rules += 1
    assert n_rules > 1000
    assert findings == {OK, BAD, WARN}
