"""What was promised of a batch, in words."""

from tsukiji import types


def told(found: types.BatchGuarantee) -> str:
    """Say what was promised of a batch and whether it holds."""
    promise = f"at most {100 * found.target_error:g}% wrong, with a confidence of {100 * found.confidence:g}%"
    if found.decided is None:
        return f"promised: {promise}; {found.reason}"
    parts = f"{found.decided} decided, {found.left} left to a person"
    match found.status:
        case "withdrawn" | "broken":
            return f"{parts}. {found.status.capitalize()}: {promise}: {found.reason}"
        case "confirmed":
            return f"{parts}. Confirmed: {promise}: {found.wrong} of {found.checked} checked are wrong"
    checks = f"; `tsukiji results guarantee {found.batch_id}` lists {found.sample} to check" if found.sample else ""
    return f"{parts}. Promised: {promise}{checks}"
