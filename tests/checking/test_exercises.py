"""An exercise's check: it observes, judges sentence by sentence, and looks again at what a busy machine can spoil."""

import pytest

from workshop.checking.exercises import SEEDS, Case, Draw, Exercise, Fault, contract, one_of
from workshop.checking.explorations import Crashes, Crashing
from workshop.checking.outcomes import NotYet, TooBusy


class Toy(Exercise):
    """Each case's record is what the test says: a fault's words, or "" where nothing is wrong."""

    title, done = "Toy", "It is right."
    cases = {  # noqa: RUF012
        "a": Case("an a", {"Seconds": one_of(1, 2, 3)}),
        "b": Case("a b"),
        "c": Case("a c"),
        "sandbox": Case("one for the sandbox", needs_sandbox=True),
    }

    def __init__(self, *looks):
        self.looks, self.played, self.drawn = list(looks), [], []

    def observe(self, lab, draw, cases):
        self.played.append(sorted(cases))
        self.drawn.append(draw.values("a", self.cases["a"].input)["Seconds"])
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return {name: look.get(name, "") for name in cases}

    @contract("First.", cases="a, b")
    def first(self, seen):
        return Fault(seen, slow=seen.startswith("slow")) if seen else None

    @contract("Second.", cases="c, a, sandbox")
    def second(self, seen):
        return Fault(seen, "Finer words.") if seen.startswith("second") else None


@pytest.fixture(autouse=True)
def on_sandbox(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")


def refusal(toy, seed=1):
    with pytest.raises(NotYet) as refused:
        toy.check(None, seed)
    return refused.value


def test_right():
    toy = Toy({})
    assert toy.check(None, 1) == "It is right."
    assert toy.played == [["a", "b", "c", "sandbox"]]


def test_the_first_sentence_that_is_not_kept_is_told_with_its_seed():
    refused = refusal(Toy({"b": "B is wrong.", "c": "second: C is wrong."}), seed=7)
    assert refused.args == ("B is wrong.", "First.") and refused.seed == 7
    assert refused.lines()[1] == "  Observed: B is wrong."
    finer = refusal(Toy({"c": "second: C is wrong."}))
    assert finer.lines()[1:4] == ["  Contract: Second.", "  Observed: second: C is wrong.", "  Missing: Finer words."]


def test_a_refusal_while_it_observes_has_the_seed_too(monkeypatch):
    def observe(toy, lab, draw, cases):
        draw.random("anything")
        raise NotYet("Exercise 1 is wrong.", "Mend it first.")

    monkeypatch.setattr(Toy, "observe", observe)
    refused = refusal(Toy({}), seed=7)
    refused.number = 2
    assert str(refused).endswith("Mend it first. lab.check(2, seed=7) plays the same again.")


def test_what_a_busy_machine_can_spoil_is_played_again_and_nothing_else():
    toy = Toy({"a": "slow"}, {})
    assert toy.check(None, 1) == "It is right."
    assert toy.played == [["a", "b", "c", "sandbox"], ["a", "b"]]
    assert refusal(Toy({"a": "slow"})).args[0] == "slow"


def test_a_function_whose_time_was_over_is_looked_at_again_whatever_the_sentence_says_of_it():
    over = "It raised Sandbox.Timedout: RequestId: 1 Error: Task timed out after 10.00 seconds."
    toy = Toy({"a": over}, {})
    assert toy.check(None, 1) == "It is right."
    assert toy.played == [["a", "b", "c", "sandbox"], ["a", "b"]]
    assert refusal(Toy({"a": over})).args[0] == over


def test_what_a_busy_machine_could_not_show_is_played_again_some_times(monkeypatch):
    busy, observe = [True, True], Toy.observe

    def hurried(toy, lab, draw, cases):
        if busy:
            busy.pop()
            raise TooBusy("This machine is too busy.")
        return observe(toy, lab, draw, cases)

    monkeypatch.setattr(Toy, "observe", hurried)
    assert Toy({}).check(None, 1) == "It is right."
    busy[:] = [True, True, True]
    with pytest.raises(TooBusy, match="too busy"):
        Toy({}).check(None, 1)


def test_what_is_looked_at_again_are_cases_that_were_asked_for():
    toy = Toy({"a": "slow"}, {})
    assert toy.check(None, 1, ["a", "c"]) == "It is right."
    assert toy.played == [["a", "c"], ["a"]]


def test_cases_can_be_played_in_waves_of_whole_sentences():
    toy = Toy({"sandbox": "second: wrong."})
    toy.at_once = 2
    assert refusal(toy).args[0] == "second: wrong."
    assert toy.played == [["a", "b"], ["c", "sandbox"]]
    early = Toy({"b": "B is wrong.", "c": "second: C is wrong."})
    early.at_once = 2
    assert refusal(early).args[0] == "B is wrong." and early.played == [["a", "b"]]


def test_what_only_the_sandbox_can_do_is_not_played_elsewhere(monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    toy = Toy({"sandbox": "second: wrong."})
    assert toy.check(None, 1) == "It is right."
    assert toy.played == [["a", "b", "c"]]
    assert toy.unplayed() == (
        "1 of 4 cases were not played, since AWS does not go wrong on request: one for the sandbox. "
        "The sandbox plays them."
    )


def test_the_same_seed_draws_the_same():
    toys = Toy({}), Toy({})
    for toy in toys:
        for seed in range(20):
            toy.check(None, seed)
    assert toys[0].drawn == toys[1].drawn and set(toys[0].drawn) == {1, 2, 3}


def test_faults_and_calls_of_a_case_are_drawn_too():
    refuses, stale = (
        {"fault": "refuse", "code": one_of("A", "B")},
        {"kind": "stale", "status": one_of("ready", "running")},
    )
    case = Case("a case", {"Seconds": one_of(1, 2)}, faults=[stale, stale], calls=[refuses])
    drawn = [Draw(seed).case("a", case) for seed in range(40)]
    assert {each.calls[0]["code"] for each in drawn} == {"A", "B"} and drawn[0].calls[0]["fault"] == "refuse"
    assert len({(one["status"], other["status"]) for one, other in (each.faults for each in drawn)}) == 4
    assert [each.input for each in drawn] == [Draw(seed).values("a", case.input) for seed in range(40)]
    assert drawn[3] == Draw(3).case("a", case)


def test_what_is_drawn_does_not_hang_on_what_else_is_drawn():
    one, two = Draw(3), Draw(3)
    two.random("something else").random()
    assert one.random("a").random() == two.random("a").random()


def test_a_sentence_without_a_case_is_refused_when_it_is_written():
    with pytest.raises(TypeError, match=r"Wrong has no case nobody: see 'It waits.'"):

        class Wrong(Toy):
            @contract("It waits.", cases="a, nobody")
            def waits(self, seen):
                return None


# -- exploring with crashes --------------------------------------------------------------------------------------------


def test_a_seed_can_name_the_pair_with_which_an_exploration_begins():
    drawn = Draw(7)
    again = Draw(drawn.seed_with(4711))
    assert again.turn() == 4711 and again.seed >= SEEDS
    assert again.random("a value").random() == drawn.random("a value").random()
    assert again.seed_with(8).__class__ is int and Draw(again.seed_with(8)).turn() == 8
    assert drawn.seed_with(None) == 7 and drawn.turn() == Draw(7).turn() < SEEDS


class Explored(Crashing):
    """Waits, and is explored with crashes. found: what the explorations find, one after the other; then `again`."""

    title = "An exercise that is explored"
    done = "It waits."
    cases = {"one": Case("a wait"), "crashes": Case("crashes")}  # noqa: RUF012

    def __init__(self, *found, again=None, alone=()):
        self.found, self.again, self.alone, self.explored = [*found], again, [*alone], []

    def observe(self, lab, draw, cases):
        self.explored.append(sorted(cases))
        return {name: self.alone.pop(0) if name == "crashes" else Crashes() for name in cases}

    def observe_crashes(self, lab, draw, seconds, tell):
        self.explored.append((draw.seed, seconds))
        tell("a place")
        if not self.found and not self.again:
            raise KeyboardInterrupt  # as somebody does who has seen enough
        return {"crashes": self.found.pop(0) if self.found else self.again}

    def says_more(self, seen):
        return f"At {seen['crashes'].places} places." if "crashes" in seen else ""

    @contract("It waits.", cases="one, crashes")
    def waits(self, seen):
        return Fault(seen.wrong, turn=seen.turn, slow=seen.inside) if seen.wrong else None


def test_exploring_plays_other_cases_once_and_then_pairs_for_the_time_that_is_left():
    exercise, told = Explored(Crashes(places=3)), []
    assert exercise.explore(None, 600, told.append) == "Stopped after 0 s. At 3 places."
    one, (seed, seconds), again, (other, _) = exercise.explored
    assert one == again == ["one"] and seed != other and 0 < seconds <= 600
    assert told[0].startswith("[-") and told[0].endswith(" of 600 s, the cases in which nothing crashes")
    assert told[1].endswith(", a place")


def test_exploring_says_how_many_it_has_played():
    exercise = Explored(Crashes(places=3), again=Crashes(places=1))
    said = exercise.explore(None, 0.05, lambda text: None)
    times = len(exercise.explored) // 2
    assert said.startswith("Nothing broke after 0 s") and said.endswith(". At 3 places.")
    assert (f"with {times} seeds" in said) == (times > 1)


def test_exploring_that_is_stopped_at_once_says_so():
    assert Explored().explore(None, 600, print).endswith(" s, before it was played once to its end.")


def test_a_pair_that_was_found_has_a_seed_with_its_turn():
    exercise = Explored(Crashes("It broke.", turn=4711))
    with pytest.raises(NotYet) as found:
        exercise.explore(None, 600, lambda text: None)
    assert Draw(found.value.seed).turn() == 4711
    assert found.value.seed % SEEDS == exercise.explored[-1][0]


def test_what_a_busy_machine_can_look_like_is_left_to_a_check():
    hung = Crashes("It hangs.", inside=True)
    exercise = Explored(hung, alone=[Crashes()])
    exercise.explore(None, 600, lambda text: None)
    assert exercise.explored[2] == ["crashes", "one"]
    with pytest.raises(NotYet, match="It hangs"):
        Explored(hung, alone=[hung] * 3).explore(None, 600, lambda text: None)


def test_a_check_says_how_much_it_has_played():
    assert Explored(alone=[Crashes(places=3)]).check(None, seed=1) == "It waits.\nAt 3 places."
