"""Which packs stay, go, or are written anew: the decision alone."""

from pivori.repository.ids import PackId
from pivori.repository.prune_plan import FEWEST_SMALL_PACKS, PackUse, PruneLimits, choose_packs

FULL = PruneLimits().pack_size


def pack_id(number: int) -> PackId:
    return PackId(number.to_bytes(32, "big"))


def use(number: int, needed: int, unused: int = 0, *, trees: bool = False, data: bool = True) -> PackUse:
    return PackUse(
        pack_id(number),
        needed_bytes=needed,
        needed_blobs=1 if needed else 0,
        unused_bytes=unused,
        unused_blobs=1 if unused else 0,
        has_data=data,
        has_trees=trees,
    )


def chosen(packs: list[PackUse], limits: PruneLimits | None = None) -> tuple[set[int], set[int]]:
    choice = choose_packs(packs, limits or PruneLimits())
    remove, repack = ({int.from_bytes(each, "big") for each in packs} for packs in (choice.remove, choice.repack))
    return remove, repack


def test_a_pack_that_nobody_needs_goes() -> None:
    assert chosen([use(1, 0, FULL), use(2, FULL)]) == ({1}, set())


def test_waste_within_the_limit_stays() -> None:
    assert chosen([use(1, 96, 4)]) == (set(), set())
    assert chosen([use(1, 94, 6)]) == (set(), {1})


def test_the_most_wasteful_pack_comes_first_and_no_more_than_is_necessary() -> None:
    packs = [use(1, 90, 10), use(2, 10, 90), use(3, 95, 5), use(4, 5000)]
    assert chosen(packs, PruneLimits(max_unused_share=0.01)) == (set(), {2})


def test_a_limit_of_zero_leaves_nothing() -> None:
    packs = [use(1, 99, 1), use(2, 100), use(3, 1, 99)]
    assert chosen(packs, PruneLimits(max_unused_share=0.0)) == (set(), {1, 3})
    assert chosen(packs, PruneLimits(max_unused_share=None, max_unused_bytes=0)) == (set(), {1, 3})


def test_without_a_limit_only_what_is_free_to_remove_goes() -> None:
    assert chosen([use(1, 1, 99), use(2, 0, 5)], PruneLimits(max_unused_share=None)) == ({2}, set())


def test_a_number_of_bytes_may_stay() -> None:
    packs = [use(1, 10, 50), use(2, 50, 10)]
    assert chosen(packs, PruneLimits(max_unused_share=None, max_unused_bytes=10)) == (set(), {1})


def test_mixed_packs_are_always_taken_apart() -> None:
    assert chosen([use(1, FULL, trees=True)], PruneLimits(max_unused_share=None)) == (set(), {1})


def test_the_bound_on_repacking_holds_and_what_fits_is_taken() -> None:
    packs = [use(1, 10, 990), use(2, 40, 60), use(3, 10, 10)]
    assert chosen(packs, PruneLimits(max_unused_share=0.0, max_repack=120)) == (set(), {2, 3})
    assert chosen(packs, PruneLimits(max_unused_share=0.0, max_repack=0)) == (set(), set())


def test_small_packs_are_joined_when_there_are_ten_of_a_kind() -> None:
    few = [use(number, 100) for number in range(FEWEST_SMALL_PACKS - 1)]
    trees = [use(100 + number, 100, trees=True, data=False) for number in range(FEWEST_SMALL_PACKS - 1)]
    assert chosen([*few, *trees]) == (set(), set())
    assert chosen([*few, use(50, 100), *trees]) == (set(), {*range(FEWEST_SMALL_PACKS - 1), 50})
    large = use(51, PruneLimits().small_pack)
    assert chosen([*few, large]) == (set(), set())
    assert chosen([*few, use(50, 100)], PruneLimits(max_repack=900)) == (set(), set())
