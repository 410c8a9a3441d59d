"""What a run of chaos prints."""

from plan import KINDS


def print_cycle(outcome):
    """All of its lines at once: other jobs print, too."""
    word = "FAIL" if outcome["problems"] else "pass" if outcome["hit"] else "miss"
    where = outcome["step"] if outcome["step"] == outcome["planned"] else f"{outcome['step']} (after {outcome['planned']})"
    form = outcome["life"] if outcome["life"] != "container" else "foreground" if outcome["foreground"] else "detached"
    lines = [
        f"{word}  {outcome['number']:4}  {outcome['victim']:<11} {where:<26} {form:<11}"
        f" answered {outcome['answered']:5.1f} s, gone {outcome['gone']:5.1f} s, all {outcome['seconds']:5.1f} s"
    ]
    if outcome["problems"]:
        lines += [f"--- cycle {outcome['number']}: what is wrong", *outcome["problems"]]
        lines += ["--- the log of containerd and its shims since it began", outcome["log"], "---"]
    print("\n".join(lines), flush=True)


def print_all(outcomes, seconds):
    print(f"\nhits, by victim and step ({len(outcomes)} cycles in {seconds:.0f} s)")
    for life, kind in KINDS.items():
        hits = [one for one in outcomes if one["hit"] and one["life"] == life]
        if hits:
            _print_kind(f"victim of a {life}", kind, hits)


def _print_kind(title, kind, hits):
    print(f"\n| {title} | " + " | ".join(kind.steps) + " | all | slowest answer, s | nothing left after, s |")
    print("| --- " * (len(kind.steps) + 4) + "|")
    for victim in kind.victims:
        own = [one for one in hits if one["victim"] == victim]
        cells = [_cell(own, kind, victim, step) for step in kind.steps]
        slowest = [f"{max((one[key] for one in own), default=0):.1f}" for key in ("answered", "gone")]
        print("| " + " | ".join([victim, *cells, str(len(own)), *slowest]) + " |")


def _cell(own, kind, victim, step):
    count = sum(one["step"] == step for one in own)
    return str(count) if count or kind.possible(victim, step) else "-"


def print_sum(outcomes, repeat):
    """The closing line; returns how many cycles failed."""
    failed = [one for one in outcomes if one["problems"]]
    missed = [one for one in outcomes if not one["hit"] and not one["problems"]]
    passed = len(outcomes) - len(failed) - len(missed)
    if missed:
        print("\nmissed (the victim had ended): " + ", ".join(f"{one['life']}/{one['victim']}/{one['planned']}" for one in missed))
    if failed:
        print("\nfailed: " + ", ".join(f"cycle {one['number']} ({one['life']}/{one['victim']}/{one['step']})" for one in failed))
        print(f"again: {repeat}")
    print(f"\n{passed} passed, {len(failed)} failed, {len(missed)} missed")
    return len(failed)
