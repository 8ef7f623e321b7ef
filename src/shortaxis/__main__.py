"""`python -m shortaxis` is `shortaxis`."""

from __future__ import annotations

from shortaxis.cli import main

if __name__ == "__main__":
    main()
