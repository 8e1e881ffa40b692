"""Tables of your own: CSV and Parquet files."""

from project.table.table import Table

__all__ = ["Table"]
