"""`python -m cl_bench`: the command line, where no script is installed."""

from cl_bench.cli.app import main

if __name__ == "__main__":
    main()
