"""Data modules that are ready."""

from project.data import TableData


def set_up(data: TableData) -> TableData:
    data.setup()
    return data
