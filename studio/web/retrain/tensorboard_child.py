"""The process in which TensorBoard runs: `python -m studio.web.retrain.tensorboard_child`.

Its first line of standard input is JSON: {"folder", "arguments"}. It answers with one line, its address, on
standard output. When standard input ends, the studio is gone and so is TensorBoard.
"""

import json
import os
import sys
import threading


def main() -> None:
    """Start TensorBoard with the arguments of its own command, and stay until standard input ends."""
    asked = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_studio, daemon=True).start()
    # Run folders are named from here, so that no comma or colon in the data folder's own path is taken for
    # one of those that part them.
    os.chdir(asked["folder"])
    from tensorboard.program import TensorBoard

    board = TensorBoard()
    board.configure(argv=["tensorboard", *asked["arguments"]])
    address = board.launch()
    print(address, flush=True)
    threading.Event().wait()


def _end_with_the_studio() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
