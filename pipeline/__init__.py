"""corpusmill's engine: documents, partitions, exchanges and books. It knows no stage by name.

Import what you need from `pipeline.api` (load_config, plan, run, open_node) or, when writing a stage,
from `pipeline.stage` and `pipeline.schema`. Nothing is re-exported here: importing a stage runs this
file first, and a re-export would load the whole engine, Dask included, with every stage.
"""

__version__ = "0.1.0"
