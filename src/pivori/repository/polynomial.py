"""The chunker polynomial a repository's ``config`` must carry.

restic refuses to open a repository whose polynomial is reducible over GF(2), although this program cuts with
another chunker: so one is made at ``init`` and checked when opening. Polynomials are integers whose bits are the
coefficients; the test is Ben-Or's (M. Ben-Or, "Probabilistic algorithms in finite fields", FOCS 1981).
"""

import secrets

DEGREE = 53


def _remainder(dividend: int, divisor: int) -> int:
    length = divisor.bit_length()
    while (excess := dividend.bit_length() - length) >= 0:
        dividend ^= divisor << excess
    return dividend


def _gcd(a: int, b: int) -> int:
    while b:
        a, b = b, _remainder(a, b)
    return a


def _square(polynomial: int, modulus: int) -> int:
    # Squaring over GF(2) spreads the bits apart: the binary digits, read as base 4.
    return _remainder(int(f"{polynomial:b}", 4), modulus)


def is_irreducible(polynomial: int) -> bool:
    """Whether ``polynomial`` (degree ≥ 1) has no factor but itself and 1."""
    degree = polynomial.bit_length() - 1
    if degree < 1:
        return False
    power = 2  # the polynomial x
    for _ in range(degree // 2):
        power = _square(power, polynomial)
        if _gcd(polynomial, power ^ 2) != 1:
            return False
    return True


def random_irreducible() -> int:
    """A random irreducible polynomial of degree 53."""
    while True:
        candidate = secrets.randbits(DEGREE) | 1 << DEGREE | 1
        if is_irreducible(candidate):
            return candidate
