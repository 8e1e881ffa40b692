"""Real data sets that come with scikit-learn: nothing is downloaded."""

from typing import Any

from project.data.base import RawTable, TableData


class _Bundled(TableData):
    """A data set of scikit-learn.

    Attributes:
        function: The function of ``sklearn.datasets`` that loads it.
    """

    function: str

    def read(self) -> RawTable:
        """Loads the file that scikit-learn brings."""
        from sklearn import datasets

        bunch: Any = getattr(datasets, self.function)()
        columns = [str(name) for name in bunch.feature_names]
        if "target_names" not in bunch:
            return RawTable(bunch.data, bunch.target, columns)
        return RawTable(bunch.data, bunch.target, columns, "class", [str(name) for name in bunch.target_names])


class BreastCancer(_Bundled):
    """569 tumours, 30 measurements: malignant or benign."""

    function = "load_breast_cancer"


class Wine(_Bundled):
    """178 Italian wines, 13 measurements: which of three growers."""

    function = "load_wine"


class Iris(_Bundled):
    """150 flowers, 4 measurements: which of three species."""

    function = "load_iris"


class Digits(_Bundled):
    """1,797 handwritten digits, 8 by 8 grey pixels: which of ten."""

    function = "load_digits"


class Diabetes(_Bundled):
    """442 patients, 10 measurements: how far the disease went on in a year, a number from 25 to 346."""

    function = "load_diabetes"
