"""``timbrekit measure``: how well a model follows playing that it has not heard."""

import argparse

from timbrekit.commands.output import OK, finish, say


def measure(options: argparse.Namespace) -> int:
    from timbrekit.results.measure import measure_model
    from timbrekit.results.verdict import judge

    unseen = measure_model(options.model, options.recording, options.trained_on)
    summary = unseen.summary()
    if not options.json:
        say(judge(unseen).text)
        say("Errors, feature by feature (0 follows exactly, 1 is a sound that never changes):")
        for name, ratio in summary["error_ratio_per_feature"].items():
            say(f"  {name:20} {ratio:.2f}")
        if unseen.image:
            say(
                f"Hits that sound alike on your drum are played alike: {unseen.image.correlation:.2f} (1 is wholly, "
                f"{unseen.image.chance:.2f} or less may be chance)."
            )
    finish(options, summary)
    return OK
