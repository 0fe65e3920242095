"""What a notebook shows of a real account: neither its number nor anything that answers for somebody.

Outputs are saved with a notebook, and notebooks are sent around. Only what is shown is changed: variables keep the
truth.
"""

import re

NUMBER = "111122223333"  # in place of the account's: what AWS's documentation uses, and the sandbox

_SHOWN = {"stream", "display_data", "update_display_data", "execute_result", "error"}
# Task tokens and callback IDs are hundreds of characters of Base64. A picture inside of HTML is, too.
_HANDLE = re.compile(r"(?<!base64,)(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/=_-]{100,}")
_KEPT = 8  # characters of a handle that are shown
_PICTURES = {"image/png", "image/jpeg"}  # their data are bytes as text


def masked(text: str, account: str) -> str:
    """A text without task tokens, callback IDs and the number of this account (its twelve digits)."""
    return _HANDLE.sub(lambda found: f"{found[0][:_KEPT]}…", text.replace(account, NUMBER))


def mask_outputs(kernel, account: str) -> None:
    """From now on, all that this kernel shows is masked. account: its twelve digits."""
    send = kernel.session.send
    if hasattr(send, "masks"):
        return

    def send_masked(stream, msg_or_type, content=None, *more, **options):
        if isinstance(msg_or_type, dict) and msg_or_type.get("msg_type") in _SHOWN:
            msg_or_type = {**msg_or_type, "content": _masked(msg_or_type["content"], account)}
        elif not isinstance(msg_or_type, dict) and msg_or_type in _SHOWN:
            content = _masked(content, account)
        return send(stream, msg_or_type, content, *more, **options)

    send_masked.masks = account
    kernel.session.send = send_masked


def _masked(content, account):
    if isinstance(content, str):
        return masked(content, account)
    if isinstance(content, dict):
        return {key: value if key in _PICTURES else _masked(value, account) for key, value in content.items()}
    if isinstance(content, list):
        return [_masked(each, account) for each in content]
    return content
