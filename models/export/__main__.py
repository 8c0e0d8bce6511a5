"""`python -m models.export`: train and export the shipped zoo from its recorded seeds."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from models.export.zoo import ZOO, make

__all__ = ["main"]


def main() -> None:
    """Make the versions that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m models.export", description=__doc__)
    parser.add_argument("which", choices=[*ZOO, "all"], help="one version of the zoo, or all of them")
    parser.add_argument("--out", type=Path, default=Path("models/zoo"), help="repository that gets them")
    parser.add_argument("--work", type=Path, default=Path("runs/train"), help="checkpoints and curves")
    parser.add_argument("--quick", action="store_true", help="one epoch on few pictures: does it run?")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    for name in ZOO if options.which == "all" else [options.which]:
        version = make(ZOO[name], options.out, options.work, quick=options.quick)
        logging.getLogger(__name__).info("wrote %s", version.folder)


if __name__ == "__main__":
    main()
