"""Moderation on real pieces: tweets, surveillance clips and pictures, and posts composed of them.

Tweets of Davidson (stratified fifth held out; blend and the factor of the hate class chosen on a
tenth of the rest), fights by five folds without a scene in two, ten kinds of pictures from fresh
weights; then posts composed of pieces that no model learnt from: fusion against the best single
modality by pattern, calibration, accuracy of automatic decisions, and whether explanations are true
to the models.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from lib.moderation.model.fitting import Checkpoint, Runtime
from lib.moderation.model.training import Run
from lib.moderation.synthetic.composing import COMPOSED_POLICIES
from lib.moderation.text_matching.words import words
from tests.benchmarks.moderating.fights import judge_fights, read_fights
from tests.benchmarks.moderating.mixed import judge_mixed, mix, policy_head
from tests.benchmarks.moderating.pictures import fit_pictures, judge_pictures, read_pictures
from tests.benchmarks.moderating.tweets import HATE, fit_tweets, judge_tweets, read_tweets
from tests.benchmarks.result import print_result
from tests.moderation.faithfulness import Faithfulness, image_faithfulness, text_faithfulness

_EXPLAINED, _ORDERS = 200, 5


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder with davidson, cifar10, fight_clips")
    parser.add_argument("--device", default="cpu", help="as torch names it")
    parser.add_argument("--threads", type=int, help="of torch; all cores when left out")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--text-epochs", type=int, default=2)
    parser.add_argument("--image-epochs", type=int, default=40)
    parser.add_argument("--video-epochs", type=int, default=20)
    parser.add_argument("--video-members", type=int, default=1)
    options = parser.parse_args()
    started = time.perf_counter()

    def say(message: str) -> None:
        print(f"{time.perf_counter() - started:7.0f} s  {message}", flush=True)

    def epoch(checkpoint: Checkpoint) -> None:
        say(f"  epoch {checkpoint.epoch}: loss {checkpoint.loss:.4f}")

    data, runtime = Path(options.data), Runtime(options.device, options.threads)
    run = Run(options.seed, runtime, epoch)
    say("fights")
    fights = read_fights(data)
    of_fights, odds = judge_fights(
        fights, Run(options.seed, runtime), options.video_epochs, options.video_members
    )
    say(f"pictures; fights: {of_fights}")
    pictures = read_pictures(data, options.seed)
    image = fit_pictures(pictures, run, options.image_epochs)
    of_pictures = judge_pictures(pictures, image)
    say(f"tweets; pictures: {of_pictures}")
    tweets = read_tweets(data, options.seed)
    text = fit_tweets(tweets, run, options.text_epochs)
    of_tweets = judge_tweets(tweets, text)
    say(f"composed posts; tweets: {of_tweets}")
    mixed = mix(tweets, text, pictures, image, fights, odds, options.seed)
    of_mixed = judge_mixed(mixed, options.seed, runtime)
    say("explanations")
    hateful = [tweets.texts[k] for k in tweets.test if tweets.classes[k] == HATE]
    texts = [tweet for tweet in hateful if len(words(tweet)) > 1][:_EXPLAINED]
    kinds = np.array(pictures.kinds)[pictures.test]
    rows = pictures.test[np.isin(kinds, ("airplane", "ship"))][:_EXPLAINED]
    images = list(pictures.pixels[rows])
    prohibited = policy_head(pictures, image)
    explanations = {
        "text": _row(text_faithfulness(text, texts, COMPOSED_POLICIES[0], _ORDERS, options.seed)),
        "image": _row(
            image_faithfulness(prohibited, images, COMPOSED_POLICIES[3], _ORDERS, options.seed)
        ),
    }
    print_result(
        len(tweets.texts) + len(pictures.kinds) + len(fights.clips),
        time.perf_counter() - started,
        davidson=of_tweets,
        fight=of_fights,
        images=of_pictures,
        **of_mixed,
        explanations=explanations,
        device=options.device,
        data=data.name,
    )


def _row(faithfulness: Faithfulness) -> dict[str, object]:
    return asdict(faithfulness)


if __name__ == "__main__":
    main()
