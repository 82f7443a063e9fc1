"""One sentence out of jsonargparse's tree of reasons."""

import re

from lightning_app.errors import InputError

_REASON = re.compile(r"is not accepted|does not accept|not expected|does not exist|Expected|No ")
_NO_REASON = re.compile(r"Expected a <class 'NoneType'>|Expected a List|Subtypes: |Given value")


def input_error_within(error: BaseException) -> InputError | None:
    """The error of ours that jsonargparse wrapped while it built a class, if there is one."""
    seen: set[int] = set()
    queue: list[BaseException] = [error]
    while queue:
        current = queue.pop()
        if isinstance(current, InputError):
            return current
        seen.add(id(current))
        linked = [current.__cause__, current.__context__, *current.args]
        queue += [e for e in linked if isinstance(e, BaseException) and id(e) not in seen]
    return _from_text(str(error))


def option_sentence(message: str, command: str) -> str:
    """What is wrong with an option, without the alternatives that jsonargparse tried.

    Args:
        message: jsonargparse's message, of one line or many.
        command: Whose `--help` to point at.
    """
    key = re.search(r'Parser key "([^"]+)"', message)
    reasons = [line.strip(" -") for line in message.splitlines() if _is_reason(line)]
    reason = reasons[0] if reasons else " ".join(message.split())
    reason = re.sub(r'^Parser key "[^"]+": ', "", reason)
    where = f"`{key.group(1)}`: " if key and key.group(1) not in reason else ""
    return f"{where}{reason}; see `glint {command} --help`."


def _is_reason(line: str) -> bool:
    return bool(_REASON.search(line)) and not _NO_REASON.search(line)


def _from_text(message: str) -> InputError | None:
    # A union's message carries the reasons of its members as text alone.
    if "Does not validate against any of the Union subtypes" not in message:
        return None
    for line in message.splitlines():
        if _is_reason(line) and line.strip().startswith("- Expected"):
            return InputError(line.strip(" -"))
    return None
