"""`python -m pgc_data` is the same as `pgc-data`."""

from pgc_data.cli import main

if __name__ == "__main__":
    main()
