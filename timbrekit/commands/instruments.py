"""``timbrekit instruments``: what there is, and how well each follows."""

import argparse

from timbrekit.commands.output import OK, counted, finish, say
from timbrekit.results.instruments import find_instruments
from timbrekit.training.names import MEL


def instruments(options: argparse.Namespace) -> int:
    found = find_instruments(options.folder)
    if not options.json:
        for instrument in found:
            ticks = " ".join(f"{tick} {name}" for name, tick in instrument.ticks.items())
            listens = ", listens on" if instrument.listener == MEL else ""
            word = f"follows you {instrument.word}" if instrument.word else "not measured"
            say(
                f"{instrument.name}: {word} ({ticks}), {counted(instrument.hits, 'hit')}{listens}, {instrument.folder}"
            )
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
