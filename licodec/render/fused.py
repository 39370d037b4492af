"""torch.compile where it works."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor


class Fused:
    """A function of tensors, compiled into few kernels; where that fails, as it is."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self._function = function
        self._compiled: Callable[..., Tensor] | None = None
        try:
            self._compiled = torch.compile(function, dynamic=False)
        except RuntimeError as error:  # a Python that it does not know
            self._give_up(error)

    def __call__(self, *arguments: object) -> Tensor:
        if self._compiled is not None:
            try:
                return self._compiled(*arguments)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # a compiler that is missing, or fails: there are as many errors as compilers
                self._give_up(error)
        return self._function(*arguments)

    def _give_up(self, error: Exception) -> None:
        self._compiled = None
        first = (str(error).splitlines() or [""])[0]
        warnings.warn(f"torch.compile does not work here, which costs speed only: {first}", stacklevel=3)
