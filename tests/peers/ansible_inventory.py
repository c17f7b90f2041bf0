#!/usr/bin/env python3
"""Holds `fleetmend inventory list --json` against `ansible-inventory --list`.

    ansible_inventory.py FLEETMEND ANSIBLE_INVENTORY [FILE…]

For every example inventory in YAML and every case of `inventory/tests/ansible/` (or each FILE),
hosts, groups and variables must be equal; so too for several inventories read together.
Prints each difference; the last line is `N passed, N failed`; exits with 1 if any failed.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

TIMEOUT_SECONDS = 120


def listing(command, folder):
    """Returns the JSON that a command prints. Ansible also reads group_vars/ in the current
    folder, so both run in an empty one."""
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(pathlib.Path(folder) / "ansible.cfg"),
        "ANSIBLE_LOCALHOST_WARNING": "False",
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "True",
        "HOME": folder,
        "LC_ALL": "C.UTF-8",
        "PYTHONUTF8": "1",
    }
    (pathlib.Path(folder) / "ansible.cfg").touch()
    done = subprocess.run(
        command, capture_output=True, cwd=folder, env=environment, timeout=TIMEOUT_SECONDS
    )
    if done.returncode != 0:
        message = done.stderr.decode("utf-8", "replace").strip()
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {message}")
    return json.loads(done.stdout.decode("utf-8"))


def differences(ours, theirs, path=""):
    """Yields one line for each difference between two JSON values; true is not 1."""
    if type(ours) is not type(theirs):
        yield f"{path or '/'}: fleetmend {ours!r}, ansible {theirs!r}"
    elif isinstance(ours, dict):
        for key in sorted(set(ours) | set(theirs)):
            below = f"{path}/{key}"
            if key not in ours:
                yield f"{below}: only in ansible: {theirs[key]!r}"
            elif key not in theirs:
                yield f"{below}: only in fleetmend: {ours[key]!r}"
            else:
                yield from differences(ours[key], theirs[key], below)
    elif ours != theirs:
        yield f"{path or '/'}: fleetmend {ours!r}, ansible {theirs!r}"


def is_inventory(path):
    """Files of variables stand beside inventories and are none."""
    return not {"group_vars", "host_vars"} & set(path.parts)


def compare(fleetmend, ansible, inventories):
    sources = [argument for path in inventories for argument in ("-i", str(path))]
    with tempfile.TemporaryDirectory() as folder:
        ours = listing([fleetmend, "inventory", "list", "--json", *sources], folder)
        theirs = listing([ansible, "--list", *sources], folder)
    # The profile says how Ansible wrote encrypted values down; it is no part of the inventory.
    for side in (ours, theirs):
        side.get("_meta", {}).pop("profile", None)
    hosts = len(theirs["_meta"]["hostvars"])
    groups = len(theirs) - 1
    return list(differences(ours, theirs)), f"{hosts} hosts with variables, {groups} groups"


def inventories_of(folder):
    found = [*folder.rglob("*.yaml"), *folder.rglob("*.yml")]
    return sorted(path for path in found if is_inventory(path.relative_to(folder)))


def default_cases():
    root = pathlib.Path(__file__).resolve().parents[2] / "inventory"
    examples = inventories_of(root / "examples")
    cases = inventories_of(root / "tests" / "ansible")
    if not examples or not cases:
        sys.exit(f"no inventory to compare under {root}")
    return [[path] for path in [*examples, *cases]] + [cases, cases[::-1], examples]


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    fleetmend, ansible = (str(pathlib.Path(path).absolute()) for path in sys.argv[1:3])
    named = [[pathlib.Path(path).resolve()] for path in sys.argv[3:]]
    passed = failed = 0
    for files in named or default_cases():
        try:
            lines, size = compare(fleetmend, ansible, files)
        except (RuntimeError, ValueError, OSError, subprocess.TimeoutExpired) as error:
            lines, size = [str(error)], "not compared"
        if lines:
            failed += 1
        else:
            passed += 1
        name = " + ".join(file.name for file in files)
        print(f"{'FAIL' if lines else 'ok  '} {name}: {size}")
        for line in lines:
            print(f"     {line}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
