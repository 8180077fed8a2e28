"""`python -m pipeline`: all commands; see `pipeline/cli`."""

from pipeline.cli.main import run

if __name__ == "__main__":
    run()
