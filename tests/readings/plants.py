"""Wrong answers, each of a kind that a wrong decoder would give."""


def first(said, kind):
    return next(pair for pair in said["pairs"] if pair["class"] == kind)


def call_as_inside(said):
    first(said, "instruction").update({"class": "inside"})


def inside_as_call(said):
    first(said, "inside").update({"class": "instruction"})


def call_as_data(said):
    first(said, "instruction").update(
        {"class": "data", "evidence": "it lies in a section that holds no code"})


def call_as_uncertain(said):
    first(said, "instruction").update({"class": "uncertain"})


def other_start(said):
    first(said, "inside")["instruction"] -= 1


def forgotten_pair(said):
    said["pairs"].pop()


def invented_pair(said):
    said["pairs"].append({**said["pairs"][0], "address": said["pairs"][0]["address"] + 1})


def window_out_of_step(said):
    said["sites"][0]["code"]["before"][0]["address"] += 1


PLANTS = {plant.__name__: plant for plant in (
    call_as_inside, inside_as_call, call_as_data, call_as_uncertain, other_start, forgotten_pair,
    invented_pair, window_out_of_step)}
