"""Serves ``module:name`` at a port, says where, and says how long it took to end after a signal."""

import asyncio
import logging
import sys
from importlib import import_module

from twofold.http import serve


def main() -> None:
    target, port = sys.argv[1:]
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    module, _, name = target.partition(":")
    served = getattr(import_module(module), name)
    asyncio.run(serve(served, port=int(port), ready=lambda url: print(url, flush=True)))
    print("ended", flush=True)


if __name__ == "__main__":
    main()
