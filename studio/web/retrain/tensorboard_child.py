"""TensorBoard in a process of its own: `python -m studio.web.retrain.tensorboard_child`.

The first line of standard input is JSON: {"folder", "arguments"}. The process writes one line, its URL, to
standard output. It ends when standard input does, which is when the studio ends.
"""

import json
import os
import sys
import threading


def main() -> None:
    """Run TensorBoard with the arguments of its command line until standard input ends."""
    message = json.loads(sys.stdin.readline())
    threading.Thread(target=_exit_with_studio, daemon=True).start()
    # Run folders are relative to this folder: a comma or colon in its path would be read as a separator of
    # --logdir_spec.
    os.chdir(message["folder"])
    from tensorboard.program import TensorBoard

    tensorboard = TensorBoard()
    tensorboard.configure(argv=["tensorboard", *message["arguments"]])
    url = tensorboard.launch()
    print(url, flush=True)
    threading.Event().wait()


def _exit_with_studio() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
