"""What checks of secrets do: look whether a text gives one away, and how hard it would be to guess."""

import base64
import hashlib
import math
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


def computed(text):
    """What somebody would try, who knows a text: hashes and encodings of it, their beginnings."""
    data = text.encode()
    for name in ("md5", "sha1", "sha256", "sha512"):
        digest = hashlib.new(name, data)
        yield digest.hexdigest()[:16]
        yield base64.urlsafe_b64encode(digest.digest()).decode()[:16]
    for space in (uuid.NAMESPACE_DNS, uuid.NAMESPACE_URL, uuid.NAMESPACE_OID):
        for made in (uuid.uuid3(space, text), uuid.uuid5(space, text)):
            yield made.hex[:16]
            yield str(made)[:18]
    yield base64.urlsafe_b64encode(data).decode()[:32]


def random_bits(ids):
    """How many bits of these IDs can be random at most: those of the places where they are not all the same."""
    used = set("".join(ids)) - set("-")
    alphabet = 10 if used <= set("0123456789") else 16 if used <= set("0123456789abcdef") else 64
    varying = sum(len(set(place)) > 1 for place in zip(*ids, strict=False))
    return varying * math.log2(alphabet)
