"""What leaves the pipeline: token shards for trainers; JSON Lines, Parquet and Arrow for all else."""
