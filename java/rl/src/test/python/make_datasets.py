"""Writes the Parquet files of ../resources/datasets, which DataFilesTest reads. Needs pyarrow."""

import pathlib

import pyarrow
import pyarrow.parquet

OUT = pathlib.Path(__file__).parent.parent / "resources" / "datasets"
ROWS = [
    {
        "prompt": [{"role": "user", "content": f"{i}+1="}],
        "reward_model": {"ground_truth": str(i + 1), "style": "rule"},
        "data_source": "sum",
        "extra_info": {"index": i, "tags": ["a", "b"][: i % 3], "weight": i / 4},
        "even": i % 2 == 0,
        "note": None if i % 2 else 7,
    }
    for i in range(40)
]

OUT.mkdir(exist_ok=True)
table = pyarrow.Table.from_pylist(ROWS)
for codec, version in (("none", "1.0"), ("snappy", "1.0"), ("zstd", "2.0"), ("gzip", "1.0"), ("lz4", "1.0")):
    pyarrow.parquet.write_table(
        table, OUT / f"{codec}.parquet", compression=codec, data_page_version=version, row_group_size=25
    )
