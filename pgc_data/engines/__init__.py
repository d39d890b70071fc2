"""Where shards are worked on: `map_shards(function, shards)`, the same for every engine."""

from pgc_data.engines.local import cores, map_shards, worker_pool

__all__ = ["cores", "map_shards", "worker_pool"]
