"""Items and results of batches as Parquet files: lists that the planner writes, parts that workers write."""
