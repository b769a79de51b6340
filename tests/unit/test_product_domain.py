"""The catalogue's decisions: given events, when a command, then events or a refusal."""

from collections.abc import Sequence

import pytest
from hypothesis import given as for_any
from hypothesis import strategies as st

from services.interaction.domain.product_categories import (
    CATEGORIES,
    MAX_CATEGORIES,
    MAX_DEPTH,
    ArchiveCategory,
    CategoryCommand,
    CategoryTree,
    DefineCategory,
    RestoreCategory,
    RestsOn,
)
from services.interaction.domain.products import (
    PRODUCTS,
    ArchiveProduct,
    DefineProduct,
    Product,
    ProductCommand,
    RestoreProduct,
)
from shared.decider import Refused
from shared.events.imports import ImportEnded
from shared.events.product import (
    ProductArchived,
    ProductCategoryArchived,
    ProductCategoryDefined,
    ProductCategoryRestored,
    ProductDefined,
    ProductRestored,
)
from shared.testing import DAY, given

ENDED = ImportEnded(import_id="1", facts=0)
BREAD = ProductDefined(product="1", titles={"en": "Bread"}, category="bakery", price=199, cost=88)
DEARER = BREAD.model_copy(update={"price": 219})


def define(
    definition: ProductDefined, *, lives: bool = True, version: int | None = None
) -> ProductCommand:
    return DefineProduct(definition, lives, DAY, seen(version) if version is not None else anything)


def anything(_version: int | None) -> None:
    pass


def seen(expected: int) -> RestsOn:
    def check(version: int | None) -> None:
        if version != expected:
            raise Refused("precondition-failed", 412, "It has changed.")

    return check


def category(name: str, parent: str | None = None, title: str = "x") -> ProductCategoryDefined:
    return ProductCategoryDefined(category=name, titles={"en": title}, parent=parent)


def put(name: str, parent: str | None = None, title: str = "x") -> DefineCategory:
    return DefineCategory(category(name, parent, title), DAY)


class TestProducts:
    def test_a_new_product_is_defined(self) -> None:
        given(PRODUCTS).when(define(BREAD)).then([BREAD])

    def test_what_changes_nothing_is_no_event(self) -> None:
        given(PRODUCTS, [BREAD]).when(define(BREAD)).then_nothing()
        given(PRODUCTS, [BREAD, ProductArchived(product="1")]).when(
            ArchiveProduct("1", DAY)
        ).then_nothing()
        given(PRODUCTS, [BREAD]).when(RestoreProduct("1", DAY)).then_nothing()

    def test_a_change_is_told_whole(self) -> None:
        given(PRODUCTS, [BREAD]).when(define(DEARER)).then([DEARER])

    def test_a_category_must_be_one_that_products_can_be_put_into(self) -> None:
        given(PRODUCTS).when(define(BREAD, lives=False)).then_refused("invalid", "category")
        # What is in it already stays, whatever became of the category.
        given(PRODUCTS, [BREAD]).when(define(DEARER, lives=False)).then([DEARER])
        bare = BREAD.model_copy(update={"category": None})
        given(PRODUCTS).when(define(bare, lives=False)).then([bare])

    def test_a_change_rests_on_what_was_seen(self) -> None:
        given(PRODUCTS, [BREAD, DEARER]).when(define(BREAD, version=2)).then([BREAD])
        given(PRODUCTS, [BREAD, DEARER]).when(define(BREAD, version=1)).then_refused(
            "precondition-failed"
        )
        given(PRODUCTS).when(define(BREAD, version=1)).then_refused("precondition-failed")
        given(PRODUCTS, [BREAD]).when(ArchiveProduct("1", DAY, seen(4))).then_refused(
            "precondition-failed"
        )

    def test_an_archived_product_is_restored_before_it_changes(self) -> None:
        gone = ProductArchived(product="1")
        given(PRODUCTS, [BREAD]).when(ArchiveProduct("1", DAY)).then([gone])
        given(PRODUCTS, [BREAD, gone]).when(define(DEARER)).then_refused("archived")
        back = ProductRestored(product="1")
        given(PRODUCTS, [BREAD, gone]).when(RestoreProduct("1", DAY)).then([back])
        given(PRODUCTS, [BREAD, gone, back]).when(define(DEARER)).then([DEARER])

    def test_what_is_not_there_is_neither_archived_nor_restored(self) -> None:
        for command in (ArchiveProduct("1", DAY), RestoreProduct("1", DAY)):
            given(PRODUCTS).when(command).then_refused("not-found")

    def test_it_has_no_other_events(self) -> None:
        with pytest.raises(TypeError):
            PRODUCTS.evolve(Product(), ENDED)


class TestCategories:
    def test_a_category_is_put_below_another(self) -> None:
        given(CATEGORIES, [category("food")]).when(put("bakery", "food")).then(
            [category("bakery", "food")]
        )

    def test_what_changes_nothing_is_no_event(self) -> None:
        given(CATEGORIES, [category("food")]).when(put("food")).then_nothing()
        given(CATEGORIES, [category("food")]).when(RestoreCategory("food", DAY)).then_nothing()

    def test_the_parent_has_to_be_there_and_to_live(self) -> None:
        given(CATEGORIES).when(put("bakery", "food")).then_refused("invalid", "parent")
        history = [category("food"), ProductCategoryArchived(category="food")]
        given(CATEGORIES, history).when(put("bakery", "food")).then_refused("invalid", "parent")

    def test_nothing_comes_below_itself(self) -> None:
        history = [category("a"), category("b", "a"), category("c", "b")]
        for parent in "abc":
            given(CATEGORIES, history).when(put("a", parent)).then_refused("invalid", "parent")
        given(CATEGORIES, history).when(put("new", "new")).then_refused("invalid", "parent")

    def test_the_tree_is_not_deep(self) -> None:
        # A chain of 9 below one root is 10 levels.
        line = [category("0"), *(category(str(n), str(n - 1)) for n in range(1, MAX_DEPTH))]
        given(CATEGORIES, line).when(put("more", "9")).then_refused("invalid", "parent")
        # Moved below another root it would be 11.
        given(CATEGORIES, [*line, category("root")]).when(put("0", "root")).then_refused(
            "invalid", "parent"
        )
        given(CATEGORIES, [*line, category("root")]).when(put("1", "root")).then(
            [category("1", "root")]
        )

    def test_children_are_archived_before_their_parent_and_restored_after_it(self) -> None:
        history = (category("food"), category("bakery", "food"))
        given(CATEGORIES, history).when(ArchiveCategory("food", DAY)).then_refused("has-children")
        below = ProductCategoryArchived(category="bakery")
        given(CATEGORIES, [*history, below]).when(ArchiveCategory("food", DAY)).then(
            [ProductCategoryArchived(category="food")]
        )
        both = (below, ProductCategoryArchived(category="food"))
        given(CATEGORIES, [*history, *both]).when(RestoreCategory("bakery", DAY)).then_refused(
            "invalid", "parent"
        )
        back = ProductCategoryRestored(category="food")
        given(CATEGORIES, [*history, *both, back]).when(RestoreCategory("bakery", DAY)).then(
            [ProductCategoryRestored(category="bakery")]
        )

    def test_an_archived_category_does_not_change(self) -> None:
        history = [category("food"), ProductCategoryArchived(category="food")]
        given(CATEGORIES, history).when(put("food", title="y")).then_refused("archived")

    def test_what_is_not_there_is_neither_archived_nor_restored(self) -> None:
        for command in (ArchiveCategory("food", DAY), RestoreCategory("food", DAY)):
            given(CATEGORIES).when(command).then_refused("not-found")

    def test_there_are_not_too_many(self) -> None:
        full = CategoryTree().after("a", category("a"), archived=False)
        items = dict.fromkeys(map(str, range(MAX_CATEGORIES)), full.items["a"])
        with pytest.raises(Refused, match="too-many"):
            CATEGORIES.decide(put("one more"), CategoryTree(1, items))

    def test_a_change_rests_on_the_version_of_the_category_not_of_its_neighbours(self) -> None:
        history = [category("food"), category("drinks")]
        again = DefineCategory(category("food", title="y"), DAY, seen(1))
        given(CATEGORIES, history).when(again).then([category("food", title="y")])

    def test_it_has_no_other_events(self) -> None:
        with pytest.raises(TypeError):
            CATEGORIES.evolve(CategoryTree(), ENDED)


NAMES = st.sampled_from("abcdefghijkl")
ANY_COMMAND: st.SearchStrategy[CategoryCommand] = st.one_of(
    st.builds(put, NAMES, st.none() | NAMES, st.sampled_from(["x", "y"])),
    st.builds(ArchiveCategory, NAMES, st.just(DAY)),
    st.builds(RestoreCategory, NAMES, st.just(DAY)),
)


@for_any(st.lists(ANY_COMMAND, max_size=60))
def test_whatever_is_asked_for_it_stays_a_tree(commands: Sequence[CategoryCommand]) -> None:
    tree = CategoryTree()
    for command in commands:
        try:
            events = CATEGORIES.decide(command, tree)
        except Refused:
            continue
        tree = CATEGORIES.fold((event.data for event in events), tree)
        check_tree(tree)


def check_tree(tree: CategoryTree) -> None:
    for name, item in tree.items.items():
        above: list[str] = []
        parent = item.definition.parent
        while parent is not None:
            assert parent in tree.items
            assert parent not in above
            assert item.archived or not tree.items[parent].archived
            above.append(parent)
            parent = tree.items[parent].definition.parent
        assert name not in above
        assert len(above) < MAX_DEPTH
        assert tree.path(name) == (*reversed(above), name)
        assert all(name in tree.below(each) for each in (*above, name))
