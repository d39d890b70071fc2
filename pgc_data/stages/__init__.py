"""The stages, one module each: a frozen config, and a plain function `run(config) -> summary`."""
