"""Made texts of one to three topics, for tasks with several labels a row: words of lists put into frames at random.

Nobody wrote these texts: they show how a tool runs and how methods differ on them, not how well a model reads people.
Frames say nothing of a topic, and a list has far more words than a few shots show, so that knowing words helps.
"""

import random
from pathlib import Path

from written import is_written, write_splits

ROWS = 2000
SEED = 13
TOPICS = {
    "sport": "goalkeeper penalty marathon tennis referee sprint league halftime volleyball coach stadium hurdles "
    "medal rowing tournament dribble wrestling cyclist javelin scoreboard offside backhand squad relay",
    "food": "soup garlic oven pastry noodles cheese recipe butter lentils dessert basil pancakes mushrooms "
    "vinegar bakery curry dumplings salad cinnamon rice gravy olives sandwich stew",
    "travel": "passport hostel airport luggage ferry itinerary visa backpack timetable embassy souvenir sightseeing "
    "cruise departure platform campsite customs guidebook suitcase voyage landmark tourist railway border",
    "weather": "thunder drizzle frost forecast humidity blizzard sunshine hail breeze fog rainfall heatwave "
    "lightning cloud storm temperature barometer snowfall drought gale sleet monsoon thaw mist",
    "money": "mortgage invoice savings tax salary loan budget pension dividend inflation banknote auditor debt "
    "shares refund currency receipt insurance creditor stockbroker wage deposit bankruptcy coupon",
    "health": "vaccine surgeon fever bandage allergy pharmacy cough diagnosis therapy nurse migraine clinic "
    "prescription antibiotic pulse dentist symptom injury asthma fracture ointment appendix patient ward",
    "music": "violin chorus drummer melody concert guitar orchestra lyrics piano opera rhythm trumpet songwriter "
    "bass symphony cello tenor ballad conductor harmony flute album soprano encore",
    "computers": "keyboard compiler server password database laptop software router debugger processor backup browser "
    "firewall spreadsheet algorithm monitor firmware bandwidth terminal malware printer download "
    "encryption pixel",
}
ONE_WORD = (
    "we talked about the {a} for an hour",
    "nobody had expected a word on the {a}",
    "there was a long piece on the {a}",
    "my sister keeps asking about the {a}",
    "somebody left a note on the {a}",
)
TWO_WORDS = (
    "the {a} and the {b} came up again",
    "first it was the {a}, then the {b}",
    "they could not agree on the {a} or the {b}",
    "her story began with the {a} and ended with the {b}",
)
BETWEEN = ("; ", ", and ", ". After that, ", ". Later ")


def write_topics(folder: Path) -> None:
    """Leave rows with `text` and `topics`, a list of one to three names of topics."""
    if is_written(folder):
        return
    draw = random.Random(SEED)
    rows = {text: {"text": text, "topics": topics} for text, topics in (made_row(draw) for _ in range(ROWS))}
    write_splits(folder, rows.items())


def made_row(draw: random.Random) -> tuple[str, list[str]]:
    """(text, its topics in alphabetic order): a half of the rows have one topic, a third two, the others three."""
    topics = draw.sample(list(TOPICS), draw.choice((1, 1, 1, 2, 2, 3)))
    clauses = []
    for topic in topics:
        a, b = draw.sample(TOPICS[topic].split(), 2)
        clauses.append(draw.choice(ONE_WORD + TWO_WORDS).format(a=a, b=b))
    text = clauses[0] + "".join(draw.choice(BETWEEN) + clause for clause in clauses[1:])
    return text[0].upper() + text[1:] + ".", sorted(topics)
