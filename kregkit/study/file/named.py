"""The types of losses and metrics in a study file; without Keras."""

import re
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from kregkit.known import LOSSES
from kregkit.schema import METRICS
from kregkit.study.file.types import (
    DISTINCT,
    FROM_ONE,
    OR_ONE,
    OWN,
    SOME,
    must,
    unknown,
)


def _named(names: Iterable[str], rule: str) -> AfterValidator:
    """Return a validator for these names and for user-defined functions."""

    def check(name: str) -> str:
        if ":" in name:
            if not re.fullmatch(OWN, name):
                raise must(f"{rule}, or like 'package.module:function'")
        elif name not in names:
            raise unknown(name, names)
        return name

    return AfterValidator(check)


def _schema(names: Iterable[str]) -> Any:
    known: list[Any] = [{"enum": sorted(names)}, {"pattern": f"^{OWN}$"}]
    return Field(json_schema_extra={"anyOf": known})


LossName = Annotated[str, _named(LOSSES, "a loss of Keras's"), _schema(LOSSES)]
MetricName = Annotated[str, _named(METRICS, "the name of a metric"), _schema(METRICS)]
MetricNames = Annotated[tuple[MetricName, ...], FROM_ONE, SOME, DISTINCT, OR_ONE]
