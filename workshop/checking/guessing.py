"""What checks of secrets do: look whether a text gives one away, and how hard it would be to guess."""

import base64
import hashlib
import hmac
import math
import random
import string
import urllib.parse
import uuid


def pieces(secret):
    """What gives a secret away: any longer part of it, as it is or encoded."""
    forms = [secret, urllib.parse.quote(secret, safe="")]
    forms += [
        encode(secret.encode()).decode() for encode in (base64.b64encode, base64.urlsafe_b64encode, base64.b16encode)
    ]
    forms.append(forms[-1].lower())
    return [form[at : at + 32] for form in forms for at in range(0, len(form) - 31, 16)]


def computed(text, key=""):
    """Pieces of what somebody makes of a text who knows it: hashes, encodings, and `random` with it as the seed.

    key: makes it what takes this key, too.
    """
    for made in _made_with(key, text) if key else _made_of(text):
        yield from (made[at : at + 16] for at in range(len(made) - 15))


def _made_with(key, text):
    key, data = key.encode(), text.encode()
    for name in sorted(hashlib.algorithms_guaranteed):
        if not name.startswith("shake"):  # HMAC takes hashes of one length
            yield from _written(hmac.digest(key, data, name))
            yield from _written(hashlib.new(name, key + data).digest())
            yield from _written(hashlib.new(name, data + key).digest())


def _made_of(text):
    data = text.encode()
    yield from _written(data)
    for name in sorted(hashlib.algorithms_guaranteed):
        digest = hashlib.new(name, data)
        yield from _written(digest.digest(*[32] * (digest.digest_size == 0)))  # a shake is as long as one likes
    for space in (uuid.NAMESPACE_DNS, uuid.NAMESPACE_URL, uuid.NAMESPACE_OID, uuid.NAMESPACE_X500):
        yield from _written(uuid.uuid3(space, text).bytes)
        yield from _written(uuid.uuid5(space, text).bytes)
    for size in (16, 20, 32):
        number = random.Random(text).getrandbits(8 * size)
        yield from _written(number.to_bytes(size, "big"))
        yield from _written(number.to_bytes(size, "little"))
    for letters in (string.ascii_letters + string.digits, string.ascii_lowercase + string.digits, "0123456789abcdef"):
        chance = random.Random(text)
        yield "".join(chance.choice(letters) for _ in range(32))
        yield "".join(random.Random(text).choices(letters, k=32))


def _written(data):
    yield from (data.hex(), data.hex().upper(), str(int.from_bytes(data, "big")))
    yield from (base64.urlsafe_b64encode(data).decode(), base64.b32encode(data).decode())
    yield str(uuid.UUID(bytes=data[:16].rjust(16)))


def random_bits(ids):
    """How many bits of these IDs can be random at most: those of the places that differ, and not all in one way."""
    used = set("".join(ids)) - set("-")
    alphabet = 10 if used <= set("0123456789") else 16 if used <= set("0123456789abcdef") else 64
    varying = {place for place in zip(*ids, strict=False) if len(set(place)) > 1}
    return len(varying) * math.log2(alphabet)
