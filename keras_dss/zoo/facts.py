"""What a card says, in words."""


def card_facts(card):
    """Yields pairs of words and values in the order in which one asks."""
    data = card["data"]
    yield "task", card["task"]
    yield "data", data["description"]
    yield "source of the data", data["source"]
    for defect in data["defects"]:
        yield "known defect", defect
    yield "architecture", ", ".join(f"{k} {_word(v)}" for k, v in card["architecture"].items())
    parameters = card["parameters"]
    yield "states", f"{card['states']:,}"
    yield "parameters", f"{parameters['total']:,}, of them {parameters['ssm']:,} in DSS layers"
    yield "size of the weights", f"{card['bytes']:,} bytes"
    yield "reduced from", card["parent"] or "no other model"
    yield "method", card["method"]
    yield "recipe", card["recipe"]
    yield "command", card["command"]
    yield "seed", str(card["seed"])
    yield "training", f"{card['epochs']:g} epochs, {card['minutes']:,.1f} minutes"
    yield "hardware", card["hardware"]
    versions = dict(card["versions"])
    backend = versions.pop("backend")
    yield "versions", ", ".join([backend, *(f"{name} {v}" for name, v in versions.items())])
    yield "licence", card["licence"]
    for file, digest in card["files"].items():
        yield f"sha256 of {file}", digest


def _word(value):
    return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
