"""``timbrekit instruments``: what there is, and how well each follows."""

import argparse

from timbrekit.commands.output import OK, counted, finish, say
from timbrekit.errors import TimbrekitError, printable
from timbrekit.results.instruments import find_instruments
from timbrekit.training.names import MEL


def instruments(options: argparse.Namespace) -> int:
    if not options.folder.is_dir():
        raise TimbrekitError(f"There is no folder {options.folder}. Check its name.")
    found = find_instruments(options.folder)
    if not options.json:
        for instrument in found:
            ticks = " ".join(f"{tick} {name}" for name, tick in instrument.ticks.items())
            follows = "does not follow you" if instrument.word == "not" else f"follows you {instrument.word}"
            word = f"{follows} ({ticks})" if instrument.word else "not measured"
            listener = ", mel listener" if instrument.listener == MEL else ""
            words = (
                f"{instrument.name}: {word}, {counted(instrument.hits, 'hit')}{listener}, {instrument.folder}"
            )
            say(printable(words, " "))  # a stranger's report
        if not found:
            say(f"There is no instrument in {options.folder.resolve()} or below.")
    rows = [
        {
            "name": instrument.name,
            "folder": str(instrument.folder),
            "preset": instrument.preset,
            "hits": instrument.hits,
            "listener": instrument.listener,
            "word": instrument.word,
            "ticks": instrument.ticks,
            "trained": instrument.trained.astimezone().isoformat(timespec="seconds"),
        }
        for instrument in found
    ]
    finish(options, {"instruments": rows})
    return OK
