"""Read a recipe (TOML): everything that turns a file of past loans into a release. See docs/models.md.

Nothing is guessed: what the file does not say has a fixed default or is a question, and an open question (`ASK`) stops
training. All problems are reported at once, each with its line and key.
"""

from pathlib import Path

from models import own_history
from models.form_file import check_keys, is_name, number_of, questions_of, texts
from models.recipe_toml.content import DRAFT, FORMAT, MODEL, SPLIT, TOP, RecipeFile
from models.recipe_toml.features import check_features, features_of, history_of, monotone_of
from models.recipe_toml.form import column, fields_of, groups_of
from models.recipe_toml.loans import source, used
from models.recipe_toml.model import draft_of, governance, model_of, policy_of
from models.recipe_toml.values import day_of, list_of_texts, month_of, table_of
from models.toml_file import TomlFile


def read_recipe(file: Path, *, python_source: bool = False) -> RecipeFile:
    """The recipe; its open questions are in `open`. With `python_source` the loans come from code beside the file.

    Raises `BadFile` with every problem and, if there are any, with the open questions too.
    """
    toml = TomlFile.read(file)
    recipe = parsed(toml, python_source)
    if toml.problems:
        questions = toml.questions()
        lines = {question.line for question in questions}
        # An ASK that is also a bad value is reported once.
        toml.problems = [*(problem for problem in toml.problems if problem.line not in lines), *questions]
        toml.done()
    if recipe is None:
        raise AssertionError("a recipe without problems was not read")
    return recipe


def parsed(toml: TomlFile, python_source: bool) -> RecipeFile | None:
    content = toml.content
    needed = ("format", "name", "title", "date", "notice", "loans", "policy", "fields")
    if not check_keys(toml, (), content, TOP, needed):
        return None
    if content["format"] != FORMAT:
        toml.wrong(("format",), f"{FORMAT} is the only one there is, got {content['format']!r}")
    if not is_name(content["name"]):
        toml.wrong(("name",), f"small letters, digits and _ are needed, got {content['name']!r}")
    day = day_of(toml, ("date",), content["date"])
    title = texts(toml, ("title",), content["title"], empty=False)
    notice = texts(toml, ("notice",), content["notice"], empty=False)
    limits = tuple(list_of_texts(toml, ("limits",), content.get("limits", [])))
    groups = groups_of(toml, content.get("groups", {}))
    loans = source(toml, content["loans"], python_source)
    fields = fields_of(toml, content["fields"], [group["name"] for group in groups])
    questions = questions_of(toml, content.get("questions", {}), fields or ())
    policy, points = policy_of(toml, content["policy"], content.get("points", {}), fields)
    model = model_of(toml, table_of(toml, ("model",), content, MODEL))
    split = table_of(toml, ("split",), content, SPLIT)
    folds = int(number_of(toml, ("split", "folds"), split.get("folds", 5), 2, 20, whole_only=True))
    repeats = int(number_of(toml, ("split", "repeats"), split.get("repeats", 5), 1, 20, whole_only=True))
    test_from = month_of(toml, ("split", "test_from"), split["test_from"]) if "test_from" in split else None
    if loans is not None and not loans.date and not python_source:
        if model["blur"]:
            toml.wrong(("model", "blur"), "needs loans.date: folds would be judged by answers that were moved")
        if model["half_life"] is not None:
            toml.wrong(("model", "half_life"), "needs loans.date: without it no loan is older than another")
    if test_from is not None and loans is not None and not loans.date:
        toml.wrong(("split", "test_from"), "without loans.date no loan is later than another")
    draft = draft_of(toml, table_of(toml, ("draft",), content, DRAFT))
    card = governance(toml, content["card"]) if "card" in content else None
    if loans is None or fields is None:
        return None
    columns = {spec["name"]: column(toml, spec, content["fields"][spec["name"]], loans) for spec in fields}
    used(toml, loans, columns)
    history = history_of(toml, content, loans, fields)
    features = features_of(toml, content.get("features", []), fields, history)
    monotone = {**own_history.monotone(history), **monotone_of(toml, content, fields)}
    if not python_source:  # that makes features of its own
        check_features(toml, fields, features, monotone, history)
    whys = [str(field["why_age"]) for field in content["fields"].values() if "why_age" in field]
    return RecipeFile(
        file=Path(toml.file), name=content["name"], title=title, date=day, notice=notice, limits=limits,
        data_card=content.get("data_card", ""), card=card, loans=loans, draft=draft, folds=folds, repeats=repeats,
        test_from=test_from, policy=policy, points=points, groups=tuple(groups), questions=tuple(questions),
        fields=tuple(fields), columns=columns, features=features, monotone=monotone, history=history,
        why_age="; ".join(whys),
        open=tuple(toml.questions()), **model,
    )  # fmt: skip
