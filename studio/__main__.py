"""`python -m studio`: the command line; without a command, the studio itself."""

from studio.cli import run

if __name__ == "__main__":
    run()
