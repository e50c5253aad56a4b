"""Counting, time and price of a mapping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accelsim.model.evaluation import Evaluation, Evaluator, evaluate

__all__ = ["Evaluation", "Evaluator", "evaluate"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from accelsim.model import evaluation

        return getattr(evaluation, name)
    raise AttributeError(name)
